"""A notebook in JupyterLab for browser tests of panels; errors in its consoles fail the test."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from playwright.sync_api import Browser, Error, Locator, LocatorAssertions, Page
from playwright.sync_api import expect as expect_at_once

from tests.services.jupyter import JupyterServer
from tests.support.waiting import until_true

USUAL = 20_000  # ms; a busy machine is slow to update the page
expect_at_once.set_options(timeout=USUAL)

# JupyterLab's and Notebook's own errors; all other errors in the console fail the test.
KNOWN = (
    r"Failed to load resource: the server responded with a status of 404.*(workspaces|favicon|custom\.css)",
    r"^page error: Cannot read properties of undefined \(reading 'schema'\)$",  # Notebook 7's own
    r"^page error: Command 'filebrowser:open-path' not registered\.$",  # Notebook 7's own
    r"^Could not restore the debugger state: Canceled future",  # a page that is reloaded early
    r"403 \(Forbidden\) \(http://127\.0\.0\.1:\d+/static/(lab|notebook)/\w+\.woff2\)$",  # fonts of both
)

# Known errors in the log console that are not fixed yet.
KNOWN_IN_LOG: tuple[str, ...] = ()

# Errors in JupyterLab's log console, which shows errors of callbacks in the kernel.
LOGGED = """async () => {
    const tokens = [...(window.jupyterapp?.pluginRegistry?._services?.keys() ?? [])];
    const token = tokens.find((one) => one.name === "@jupyterlab/logconsole:ILoggerRegistry");
    if (!token) return null;
    const loggers = (await jupyterapp.resolveRequiredService(token)).getLoggers();
    const outputs = loggers.flatMap(({ length, outputAreaModel }) =>
        Array.from({ length }, (_, place) => outputAreaModel.get(place).toJSON()));
    return outputs
        .filter(({ level }) => ["error", "critical"].includes(level))
        .map(({ ename, evalue, ...rest }) => (ename ? `${ename}: ${evalue}` : JSON.stringify(rest)));
}"""

# Closes what was shown last: panels that stay open would follow each change of the theme, and be loaded by each page.
CLOSE = "closed = getattr(globals().get('_'), 'close', int)()"

SESSION = "window.jupyterapp?.shell.currentWidget?.context?.sessionContext"

# What else must hold first: these are true also of what is not there.
OF_NOTHING = ("to_be_hidden", "not_to_be_visible", "not_to_be_attached", "to_have_count", "not_to_have_count")


class Waiting:
    """Playwright's expectations of a place on the page, after a cheap wait for the place.

    While a place is missing, each of them would describe the whole page for the message that it may have to write.
    """

    def __init__(self, place: Locator) -> None:
        self._place = place

    def __getattr__(self, name: str) -> Callable[..., None]:
        check: Callable[..., None] = getattr(expect_at_once(self._place), name)
        if name in OF_NOTHING:
            return check

        def after_wait(*expected: Any, **options: Any) -> None:
            __tracebackhide__ = True
            try:
                self._place.wait_for(
                    state="visible" if name == "to_be_visible" else "attached", timeout=options.get("timeout", USUAL)
                )
            except Error:
                options["timeout"] = 1  # it says what is wrong
            check(*expected, **options)

        return after_wait


def expect(place: Locator) -> LocatorAssertions:
    """Return what can be expected of a place on the page."""
    return cast(LocatorAssertions, Waiting(place))


class Lab:
    """A notebook in the browser.

    Parameters
    ----------
    server, browser
        The server and the browser that open the notebook.
    cells
        Its code.
    page
        ``lab/tree``, or ``notebooks`` for Notebook 7.
    width, height
        Size of the window, in pixels.

    Attributes
    ----------
    problems : list of str
        Errors in the browser's console and in JupyterLab's log console; they fail the test at its end.
    known_in_log : list of str
        Patterns of errors in the log console that do not fail the test.
    """

    def __init__(
        self,
        server: JupyterServer,
        browser: Browser,
        name: str,
        *cells: str,
        page: str = "lab/tree",
        width: int = 1300,
        height: int = 1600,
    ) -> None:
        self.server = server
        self.problems: list[str] = []
        self.known_in_log = [*KNOWN_IN_LOG]
        self._read_of_log = 0
        self._size = {"width": width, "height": height}
        # a bar that moves without an end takes more of the processor than most tests
        self.context = browser.new_context(viewport=self._size, accept_downloads=True, reduced_motion="reduce")
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        self.name = server.notebook(name, *cells)
        self.kernel = server.start_kernel(self.name)  # started here, so that JupyterLab does not ask for one
        self.page.goto(server.address(self.name, page))
        self.until_connected()

    def until_connected(self) -> None:
        """Wait until the notebook is shown and its kernel can be used."""
        self.page.locator(".jp-Notebook").wait_for()
        until_true(self.page, f"{SESSION}?.session?.kernel?.connectionStatus == 'connected'")

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self._note(f"{message.text} ({message.location.get('url', '')})")

    def _note(self, text: str) -> None:
        if not any(re.search(known, text) for known in KNOWN):
            self.problems.append(text)

    def watch_log(self, *known: str) -> None:
        """Record the new errors in JupyterLab's log console, which a reload of the page clears."""
        logged = self.page.evaluate(LOGGED)
        assert logged is not None, "this JupyterLab has no log console, or registers it under another name"
        for text in logged[self._read_of_log :]:
            if not any(re.search(one, text) for one in (*self.known_in_log, *known)):
                self.problems.append(f"in the log console: {text}")
        self._read_of_log = len(logged)

    def check(self) -> None:
        """Fail if one of the consoles had an error since the last check."""
        self.watch_log()
        problems, self.problems = self.problems, []
        assert not problems, problems  # with a message: pytest explains asserts only in test modules

    def show(self, *lines: str, width: int | None = None) -> None:
        """Replace all cells by one with these lines, in a window of this width, and run it."""
        self.page.set_viewport_size(self._size if width is None else {**self._size, "width": width})
        self.page.evaluate(
            """async () => {
                await jupyterapp.commands.execute("notebook:select-all");
                await jupyterapp.commands.execute("notebook:delete-cell");
            }"""
        )
        self.in_kernel(CLOSE, "\n".join(lines))
        self.watch_log("No such comm")  # the page may have told the closed panel that nobody sees it

    def run(self) -> None:
        """Run all cells, and wait for the last one; an error in a cell fails."""
        done = self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        errors = self.page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
        told = [text for text in errors.all_inner_texts() if "incubator modules" not in text]  # Java's, at its start
        assert done, told
        assert not told, told

    def in_kernel(self, *cells: str) -> None:
        """Run further cells after the others."""
        for cell in cells:
            self.page.evaluate(
                """async (code) => {
                    const notebook = jupyterapp.shell.currentWidget.content;
                    notebook.activeCellIndex = notebook.widgets.length - 1;
                    await jupyterapp.commands.execute("notebook:insert-cell-below");
                    notebook.activeCell.model.sharedModel.setSource(code);
                    await jupyterapp.commands.execute("notebook:run-cell");
                }""",
                cell,
            )

    def save_and_reload(self) -> None:
        """Save the notebook, as JupyterLab does every two minutes, and reload the page."""
        self.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
        self.watch_log()
        self._read_of_log = 0
        self.page.reload()
        self.until_connected()

    def command(self, name: str, **arguments: Any) -> None:
        """Execute a command of JupyterLab, as its menus do; it may continue after this returns."""
        self.page.evaluate("([name, args]) => { jupyterapp.commands.execute(name, args) }", [name, arguments])

    @property
    def panel(self) -> Locator:
        """Return the outermost panel of the notebook."""
        return self.page.locator(".frontierlab-panel").first

    def button(self, name: str) -> Locator:
        """Return a button of the panel; an icon can precede its name."""
        return self.panel.get_by_role("button", name=re.compile(rf"^\W*{re.escape(name)}$"))

    def field(self, label: str) -> Locator:
        """Return a field of the panel."""
        return self.panel.get_by_label(label, exact=True)

    def close(self) -> None:
        """Close the page, end the kernel, and fail if one of the consoles had errors."""
        try:
            self.check()
        finally:
            self.context.close()
            self.server.end_kernel(self.kernel)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.context.close()
            self.server.end_kernel(self.kernel)
