// Draw the Bokeh figures of a BokehModel. BokehJS comes from the kernel, once for a page, and only if the page lacks it:
// a BokehModel cannot be drawn before it is there.

const LOOK = 50; // ms between two looks whether BokehJS is there
const LATE = 10_000; // ms after which the page says what it waits for
const LONGEST = 60_000; // ms that changes of the figures wait for the end of a drag
const SLOW = 10_000; // ms that they wait for BokehJS; what is hidden it does not draw
const AGAIN = 10_000; // ms without an answer after which it is asked for again, by another figure of the page first

// each widget has a module of its own, so what the figures of a page share is in the page
const asked = (globalThis.frontierlabBokehjs ??= { at: -Infinity, by: null });

function take({ bokehjs }, buffers) {
  if (!bokehjs || window.Bokeh?.version) return;
  const script = document.createElement("script");
  script.text = new TextDecoder().decode(buffers[0]);
  document.head.append(script);
}

async function untilLoaded(model, isWanted) {
  while (!window.Bokeh?.version && isWanted()) {
    const turn = asked.by === model ? 4 * LOOK : 0; // another one's kernel may be free
    if (performance.now() - asked.at > AGAIN + turn) {
      [asked.at, asked.by] = [performance.now(), model];
      model.send({ ask: "bokehjs" });
    }
    await new Promise((done) => setTimeout(done, LOOK));
  }
}

// The tags of the layout count its patches. A view that has taken all of them has drawn what its model has now; one that
// has missed a patch, because it was not there yet, is drawn again.
const patches = (tags) => tags?.[0] ?? 0;

function keepUpToDate(view) {
  let root = null;
  let missed = false;
  const watch = () => {
    [root] = view._document.roots();
    missed = false;
    let seen = patches(root.tags);
    root.properties.tags.change.connect(() => {
      seen += 1;
      missed ||= patches(root.tags) !== seen;
    });
  };
  const isUpToDate = () => {
    const [bundle] = Object.values(JSON.parse(view.model.get("render_bundle")).docs_json);
    const [latest] = bundle.roots;
    return !missed && root.id === latest.id && patches(root.tags) === patches(latest.attributes.tags);
  };
  const redraw = view.render.bind(view);
  view.render = () => {
    if (isUpToDate()) return;
    redraw();
    watch();
  };
  watch();
}

// Take patches as one message each (bokeh_figures.py), and tell the kernel of what else changes only after them. One that
// is older than what is drawn, or follows one that was missed, is not for it.
function takePatches(view) {
  view._consume_patch = ({ msg, patch, number }) => {
    if (msg !== "changes" || view._document === null) return;
    const [root] = view._document.roots();
    const had = patches(root?.tags);
    if (number < had || number > had + 1) return;
    view._blocked = true;
    try {
      view._document.apply_json_patch(JSON.parse(patch));
    } finally {
      view._blocked = false;
      for (const event of view._pending_events.splice(0)) view._change_event(event);
    }
  };
}

// Changes wait until BokehJS has drawn what came before, and for the end of a drag: they would end it.
function inTurn(el, isDrawn) {
  const waiting = [];
  let late = null; // a timer while a button is down in the figures
  let since = 0; // when the first of those that wait began to
  let soon = null; // a timer for the next look
  const mayGo = () => late === null && (isDrawn() || performance.now() - since > SLOW);
  const go = () => {
    soon = null;
    while (waiting.length > 0 && mayGo()) {
      const change = waiting.shift();
      since = performance.now();
      try {
        change();
      } catch (error) {
        reportError(error); // and make the other changes
      }
    }
    if (waiting.length > 0) soon = setTimeout(go, LOOK);
  };
  const end = () => {
    clearTimeout(late);
    late = null;
  };
  const begin = () => {
    clearTimeout(late);
    late = setTimeout(end, LONGEST);
  };
  const listening = new AbortController();
  const options = { capture: true, signal: listening.signal };
  el.addEventListener("pointerdown", begin, options);
  window.addEventListener("pointerup", end, options);
  window.addEventListener("pointercancel", end, options);
  window.addEventListener("pointermove", ({ buttons }) => buttons === 0 && end(), options); // the end was not heard
  return {
    after: (act) => (...given) => {
      if (waiting.length === 0) since = performance.now();
      waiting.push(() => act(...given));
      if (soon === null) go();
    },
    stop: () => {
      listening.abort();
      clearTimeout(soon);
    },
  };
}

function render({ model, el }) {
  let view = null;
  const turn = inTurn(el, () => view?._document?.is_idle ?? true);
  let last = 0; // the number of the last draw; a draw that another has overtaken is dropped

  const name = () => {
    el.setAttribute("role", "figure");
    el.setAttribute("aria-label", model.get("label") || "Figures");
  };
  const say = (text) => {
    const told = document.createElement("p");
    told.setAttribute("role", "status");
    told.textContent = text;
    el.replaceChildren(told);
  };
  const draw = async () => {
    const mine = ++last;
    const id = model.get("view")?.replace("IPY_MODEL_", "");
    if (!id) return;
    const late = setTimeout(() => say("The figures are drawn here once the kernel is free."), LATE);
    const early = []; // patches that come while these figures are drawn; a new bundle has them
    const keep = (content) => early.push(content);
    const forget = () => early.splice(0);
    try {
      const figures = await model.widget_manager.get_model(id);
      figures.on("msg:custom", keep);
      figures.on("change:render_bundle", forget);
      let drawn;
      try {
        await untilLoaded(model, () => mine === last);
        if (mine !== last) return;
        drawn = await model.widget_manager.create_view(figures);
      } finally {
        figures.off("msg:custom", keep);
        figures.off("change:render_bundle", forget);
      }
      if (mine !== last) return void drawn.remove();
      keepUpToDate(drawn);
      takePatches(drawn);
      drawn.render = turn.after(drawn.render);
      drawn._consume_patch = turn.after(drawn._consume_patch);
      // what the kernel changed is not told to it again: it can be older than what the kernel has by then
      const tell = drawn._change_event.bind(drawn);
      drawn._change_event = (event) => event.sync && tell(event);
      view?.remove();
      view = drawn;
      el.replaceChildren(view.el);
      view.trigger("displayed"); // it takes its width then
      for (const content of early) view._consume_patch(content);
    } catch (error) {
      say(`The figures cannot be drawn: ${error.message}. Reload the page.`);
      throw error;
    } finally {
      clearTimeout(late);
    }
  };
  model.on("msg:custom", take);
  model.on("change:view", draw);
  model.on("change:label", name);
  name();
  draw();
  return () => {
    last += 1;
    turn.stop();
    if (asked.by === model) asked.at = -Infinity; // nobody takes its answer now
    model.off("msg:custom", take);
    model.off("change:view", draw);
    model.off("change:label", name);
    view?.remove();
  };
}

export default { render };
