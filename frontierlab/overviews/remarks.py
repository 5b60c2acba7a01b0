"""The sentences of an overview: how its numbers were found, and what they lack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from frontierlab.elastic.client import Index
from frontierlab.overviews.counting import Counted, Looker, Values
from frontierlab.overviews.parts import FIELDS, Group
from frontierlab.util.times import in_words

__all__ = ["Remarks"]


@dataclass
class Remarks:
    """The sentences of one overview.

    Parameters
    ----------
    notes
        How the numbers were found, and how far an extraction may differ.
    warnings
        What makes numbers too small, or a choice of the largest groups uncertain.
    """

    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of_folders(self, found: Counted, by_id_only: int, *, catalogued: bool) -> None:
        """Remark on queries whose folder has no name, and on folders that were not counted."""
        if by_id_only and catalogued:
            self.notes.append(f"{by_id_only:,} queries name their folder only by an id that the catalogue lacks.")
        elif by_id_only:
            self.warnings.append(
                f"{by_id_only:,} queries name their folder only by an id, and there is no catalogue yet: they are "
                "unnamed."
            )
        if not found.whole:
            self.warnings.append(
                "There are more folders than could be counted: the largest may be missing, and their numbers too small."
            )

    def of_unselected(self, seen: Sequence[Counted]) -> None:
        """Remark on queries whose folder or tag a selection cannot name without a catalogue."""
        ends = (2, 4)  # the places of names, each before its id, in a combination of names and ids
        unnamed = sum(
            counts[0]
            for found in seen
            for key, counts in found.counts.items()
            if any(key[place] is None and key[place + 1] is not None for place in ends if place < len(key))
        )
        if unnamed:
            self.warnings.append(
                f"{unnamed:,} queries name their folder or tag only by an id, and there is no catalogue yet: some of "
                "them may be missing here."
            )

    def of_choice(self, name: str, values: Values) -> None:
        """Remark on the choice of the largest values, if the server did not give all."""
        if values.whole:
            return
        shown = [counts[0] for key, counts in values.counts.items() if key[0] is not None]
        if not shown or min(shown) < values.most_elsewhere:
            self.warnings.append(
                f"There are many {name}. Those shown are counted exactly, but which are the largest is approximate: "
                f"one that is not shown has at most {values.most_elsewhere:,} queries."
            )
        else:
            self.notes.append(f"There are many {name}: the others were not counted one by one.")

    def of_documents(self, index: Index, looker: Looker, limit: int) -> None:
        """Remark on documents that were not counted, or may be counted differently by an extraction."""
        found = looker.databases
        if found.ignored:
            self.notes.append(
                f"{found.ignored:,} documents have a value that the index did not take (malformed or too long). An "
                "extraction reads such values from the documents, or keeps the documents apart as malformed."
            )
        if found.unseen:
            self.warnings.append(
                f"{found.unseen:,} documents name one of too many databases: queries of a configured one may be among "
                "them."
            )
        if looker.rounded:
            self.notes.append("Sums from 2^53 on are rounded.")
        timeless = index.count({"bool": {"must_not": {"exists": {"field": "@timestamp"}}}})
        if timeless:
            self.notes.append(
                f"{timeless:,} documents of the index have no readable @timestamp, so they are in no period."
            )
        if found.documents > limit:
            self.warnings.append(
                f"An extraction would stop at limit_queries: {limit:,} of {found.documents:,} documents."
            )

    def of_fields(self, groups: Iterable[Group]) -> None:
        """Remark on the fields that indices lack, and on those that are read from documents."""
        lacking: dict[str, list[str]] = {}
        slow: dict[str, list[str]] = {}
        for group in groups:
            for name in FIELDS:
                if name not in group.shape.fields:
                    lacking.setdefault(name, []).extend(group.shape.indices)
                elif name in group.shape.runtime:
                    slow.setdefault(name, []).extend(group.shape.indices)
        for name, indices in lacking.items():
            self.notes.append(
                f"{name} is not in the mapping of {_some(indices)}: its values there are taken as missing. An "
                "extraction finds those that documents have all the same."
            )
        for name, indices in slow.items():
            self.notes.append(
                f"{name} of {_some(indices)} cannot be counted as it is mapped; documents are read for it, slowly."
            )

    def of_nothing(self, index: Index, *, selected: bool) -> None:
        """Say when the index has documents, for a period without any, or without any that is `selected`."""
        first, last = index.ends({"match_all": {}})
        if first is None or last is None:
            self.warnings.append(f"The index {index.name} has no documents at all.")
            return
        why = "meets the selection" if selected else "was found"
        period = f"from {in_words(first)} to {in_words(last)}"
        self.warnings.append(f"No document of this period {why}. The index has documents {period}.")


def _some(indices: Sequence[str]) -> str:
    named = sorted(indices)
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
