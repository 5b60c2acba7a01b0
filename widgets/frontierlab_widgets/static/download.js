// Download a file to the user's machine.

function initialize({ model }) {
  model.on("msg:custom", ({ name }, [content]) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}

export default { initialize, render() {} };
