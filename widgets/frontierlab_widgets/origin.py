"""The origin of computed figures, so that they are never shown, stored or exported as figures of something else."""

from __future__ import annotations

from dataclasses import dataclass

from frontierlab import Selection, Settings
from frontierlab_widgets.chosen_datasets import named

__all__ = ["Origin"]


@dataclass(frozen=True)
class Origin:
    """The inputs of figures.

    Parameters
    ----------
    dataset
        The name of the dataset or of the period.
    identity
        Its ``identity``.
    selection
        The selected queries.
    settings
        Values of the settings that the figures depend on, by name.
    compared
        What they are compared with: the value of the panel's trait, and the identity if that is a dataset.
    window
        Which part of the time of its datasets a period is; see `frontierlab_widgets.chosen_datasets.window_of`.
    """

    dataset: str
    identity: str
    selection: Selection
    settings: tuple[tuple[str, str], ...] = ()
    compared: tuple[str, ...] = ()
    window: str = ""

    @classmethod
    def of(
        cls,
        dataset: tuple[str, str, str],
        selection: Selection,
        settings: Settings,
        names: tuple[str, ...],
        compared: tuple[str, ...] = (),
    ) -> Origin:
        """Return the origin of figures.

        Parameters
        ----------
        dataset
            Name, identity and window.
        selection, compared
            As for the class.
        settings
            All settings.
        names
            Names of the settings that the figures depend on.
        """
        values = tuple((name, str(getattr(settings, name))) for name in names)
        name, identity, window = dataset
        return cls(name, identity, selection, values, compared, window)

    def in_words(self) -> str:
        """Describe the origin."""
        return f"{named(self.dataset, self.window)}, {self.selection.in_words() or 'all queries'}"

    def differs(self, now: Origin) -> str:
        """Say how the origin `now` differs; empty if it does not."""
        if (now.dataset, now.window) != (self.dataset, self.window):
            return f"not of {now.in_words()}"
        if now.selection != self.selection:
            words = now.selection.in_words()
            return f'not of the selection "{words}"' if words else "not of all queries"
        if now.identity != self.identity:
            return f"but the {named(now.dataset, now.window)} has changed since then"
        if now.compared != self.compared:
            return "but the queries to compare with are others now"
        changed = [name for name, _ in {*now.settings} - {*self.settings}]
        return f"but the settings have another {', '.join(changed)} now" if changed else ""
