// Connect a panel and its page: report the theme and the visibility to the panel, and the end of the kernel to the user.

const ENDED = new Set(["restarting", "autorestarting", "terminating", "dead"]);

function render({ model, el }) {
  el.classList.add("frontierlab-kernel-status");
  const notice = document.createElement("div");
  notice.className = "frontierlab-ended";
  notice.setAttribute("role", "alert");
  notice.hidden = true;
  el.append(notice);

  const say = (what) => {
    if (!notice.hidden) return; // keep the first cause
    notice.textContent =
      `${what} This panel shows what it last showed, and its controls do nothing. ` +
      "Run its cell again; from_state() brings back a view that was kept.";
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
    document.removeEventListener("visibilitychange", onLook);
    model.off("msg:custom", onAsked);
    session?.statusChanged.disconnect(onStatus);
    session?.kernelChanged.disconnect(onKernel);
  };
}

export default { render };
