// Connect a panel and its page: report the theme and the visibility to the panel, and the end of the kernel to the user.

const ENDED = new Set(["restarting", "autorestarting", "terminating", "dead"]);

function render({ model, el }) {
  el.classList.add("frontierlab-kernel-status");
  const notice = document.createElement("div");
  notice.className = "frontierlab-ended";
  notice.setAttribute("role", "alert");
  notice.hidden = true;
  const told = document.createElement("span");
  notice.append(told);
  el.append(notice);

  const offer = (name, action) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "jupyter-button";
    button.textContent = name;
    button.addEventListener("click", () => action(button));
    notice.append(button);
  };

  // Run the code that shows the same view, and show what it displays in the place of this panel.
  async function restore(button) {
    button.disabled = true;
    button.textContent = "Restoring …";
    try {
      const manager = model.widget_manager;
      const kernel = session.session?.kernel;
      if (!kernel) throw new Error("There is no kernel: start one first.");
      let id;
      let problem;
      const future = kernel.requestExecute({ code: model.get("again"), store_history: false, stop_on_error: false });
      future.onIOPub = ({ header, content }) => {
        id ??= content.data?.["application/vnd.jupyter.widget-view+json"]?.model_id;
        if (header.msg_type === "error") problem = `${content.ename}: ${content.evalue}`;
      };
      await future.done;
      if (!id) throw new Error(problem ?? "The kernel showed nothing.");
      const view = await manager.create_view(await manager.get_model(id));
      const panel = el.closest(".frontierlab-panel");
      const place = document.createElement("div");
      panel.before(place);
      view.luminoWidget.constructor.attach(view.luminoWidget, place); // as an output does
      panel.hidden = true;
      panel.style.display = "none";
    } catch (error) {
      told.textContent = `The view cannot be restored: ${error.message ?? error} Run the cell of the panel again. `;
      button.disabled = false;
      button.textContent = "Restore this view";
    }
  }

  async function copy(button) {
    const done = await navigator.clipboard?.writeText(model.get("kept")).then(() => true, () => false);
    button.textContent = done ? "Copied" : "The browser does not allow it";
  }

  const say = (what) => {
    if (!notice.hidden) return; // keep the first cause
    const again = model.get("again") && session;
    told.textContent =
      `${what} This panel shows what it last showed, and its controls do nothing. ` +
      (again ? "" : "Run its cell again; from_state() brings back a view that was kept. ");
    if (again) offer("Restore this view", restore);
    if (model.get("kept")) offer("Copy this view", copy);
    notice.hidden = false;
    const panel = el.closest(".frontierlab-panel");
    panel.classList.add("frontierlab-panel-ended");
    for (const child of panel.children) child.inert = !child.contains(el);
  };
  const onStatus = (_, status) => {
    if (ENDED.has(status)) say(status.endsWith("restarting") ? "The kernel was restarted." : "The kernel has ended.");
  };
  const onKernel = () => say("The kernel was restarted or replaced.");

  const theme = () => {
    const dark = document.body.dataset.jpThemeLight === "false";
    if (dark === model.get("dark") || !notice.hidden) return; // a kernel that has ended accepts no messages
    model.set("dark", dark);
    model.save_changes();
  };
  const observer = new MutationObserver(theme);
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  theme();

  // A button is disabled while its panel works, and loses the focus by that: it gets it back, unless the user went on.
  let left = null;
  const onFocus = ({ target }) => {
    left = target.matches("button") && target.closest(".frontierlab-panel")?.contains(el) ? target : null;
  };
  const buttons = new MutationObserver(() => {
    if (left?.isConnected && !left.disabled && [document.body, null].includes(document.activeElement)) left.focus();
  });
  const around = new ResizeObserver(() => {
    const panel = el.closest(".frontierlab-panel"); // not there while this is drawn
    if (!panel) return;
    panel.addEventListener("focusin", onFocus);
    buttons.observe(panel, { attributes: true, attributeFilter: ["disabled"], subtree: true });
    around.disconnect();
  });
  around.observe(el);

  let shown = false;
  const look = () => {
    const was = shown;
    shown = notice.hidden && !document.hidden && el.checkVisibility();
    return { begins: shown && !was };
  };
  const onLook = () => look().begins && model.send({ shown: true });
  const onAsked = () => {
    look();
    if (shown) model.send({ shown: true });
  };
  const sizes = new ResizeObserver(onLook); // opening a tab gives its panel a size
  sizes.observe(el);
  document.addEventListener("visibilitychange", onLook);
  model.on("msg:custom", onAsked);

  const session = model.widget_manager?.context?.sessionContext;
  session?.statusChanged.connect(onStatus);
  session?.kernelChanged.connect(onKernel);
  return () => {
    observer.disconnect();
    sizes.disconnect();
    around.disconnect();
    buttons.disconnect();
    document.removeEventListener("visibilitychange", onLook);
    model.off("msg:custom", onAsked);
    session?.statusChanged.disconnect(onStatus);
    session?.kernelChanged.disconnect(onKernel);
  };
}

export default { render };
