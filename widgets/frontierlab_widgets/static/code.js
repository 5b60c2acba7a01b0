// Lines of code with a button that copies them.

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
    let done = false;
    try {
      await navigator.clipboard.writeText(model.get("code")); // only on https and on localhost
      done = true;
    } catch {
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Press Ctrl+C: it is marked";
  });
  el.append(button, text);
  model.on("change:code", draw);
  draw();
}

export default { render };
