"""What a reader of figures of servlet logs should know, in sentences."""

from __future__ import annotations

from frontierlab.rawlogs.names import in_words
from frontierlab.rawlogs.servlet.columns import FLAGS_OF, OUTCOMES, Outcome
from frontierlab.rawlogs.servlet.log_reader import LogFacts

__all__ = ["notes_of"]


def notes_of(facts: LogFacts, most: float) -> list[str]:
    """Return the notes; the first one says if more than the share `most` of the lines was set aside."""
    rows = facts.outcomes.total()
    notes = [facts.lines.warning(most)]
    if nobody := facts.askers.total():
        who = ", ".join(f"{name} {count:,}" for name, count in facts.askers.most_common(5))
        notes.append(
            f"{nobody:,} of {rows:,} queries ({nobody / rows:.1%}) name no task, so figures per task lack them: {who}."
        )
    others = {OUTCOMES[one]: facts.outcomes[OUTCOMES[one]] for one in FLAGS_OF["procerror"][1:]}
    if sum(others.values()):
        told = ", ".join(f"{name} {count:,}" for name, count in others.items() if count)
        notes.append(
            f"procerror is also true for failures for which Elasticsearch has no flag that is known: {told}. The "
            "column outcome tells them apart."
        )
    if asked := facts.outcomes[OUTCOMES[Outcome.NOT_MODIFIED]]:
        notes.append(f"{asked:,} queries were not modified by Oracle's word: no body was sent, and cached is false.")
    if facts.unknown:
        notes.append(
            "The catalogue lacks the names of folders or tags; these queries have their numbers: "
            f"{in_words(facts.unknown)}."
        )
    if len(facts.zones) > 1:
        zones = ", ".join(f"{zone} min {count:,}" for zone, count in facts.zones.most_common(10))
        notes.append(f"The logs have several zones and offsets from UTC: {zones}.")
    if facts.restarts:
        notes.append(f"{facts.restarts:,} restarts of servlets were seen; requests that were open then have no stop.")
    if facts.stray:
        notes.append(f"{facts.stray:,} late messages belong to requests that had ended before; no row tells of them.")
    return [note for note in notes if note]
