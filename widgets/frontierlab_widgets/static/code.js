// A box of code with a copy button.

function render({ model, el }) {
  el.classList.add("frontierlab-code");
  const text = document.createElement("pre");
  text.tabIndex = 0;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-button";
  const draw = () => {
    text.textContent = model.get("code");
    button.textContent = "Copy";
  };
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(text);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    // works only on https and localhost; never resolves while the browser waits for the user's permission
    const writing = navigator.clipboard?.writeText(model.get("code")).then(() => true, () => false) ?? false;
    const late = new Promise((resolve) => setTimeout(() => resolve(false), 3_000));
    const done = (await Promise.race([writing, late])) || document.execCommand("copy");
    button.textContent = done ? "Copied" : "Press Ctrl+C: it is marked";
  });
  el.append(button, text);
  model.on("change:code", draw);
  draw();
}

export default { render };
