"""The catalogue and the payloads of days with incidents, as an archive that answers like COOLR."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq

from frontierlab.errors import InvalidRequestError
from frontierlab.sample.world.conditions import catalogue, payloads
from frontierlab.sample.world.incidents.places import all_folders
from frontierlab.util.files import reason, replacing

__all__ = ["make_conditions"]


def make_conditions(folder: str | os.PathLike[str], seed: int = 1) -> dict[str, Path]:
    """Write the catalogue and the payloads of the folders that `make_day` uses: about 250, five times the sample's.

    With them caching figures know the payloads of all folders of such a day, not only of those that the sample has too.

    Parameters
    ----------
    folder
        Where to write; it is made if it is missing. Files of these names in it are replaced.
    seed
        Seed of the payloads; that of days does not matter to them.

    Returns
    -------
    dict
        The settings that name them: ``coolr_file`` and ``coolr_archive``.

    Raises
    ------
    InvalidRequestError
        The folder cannot be written; the files in it are whole, new or old.

    Examples
    --------
    >>> settings = fl.Settings(**fl.sample.make_conditions("conditions"))  # doctest: +SKIP
    """
    target = Path(folder).expanduser().absolute()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for name, table in (("catalogue", catalogue(all_folders())), ("payloads", payloads(seed, all_folders()))):
            with replacing(target / f"{name}.parquet") as temporary:
                pq.write_table(table, temporary, compression="zstd")
    except OSError as error:
        raise InvalidRequestError(
            f"{target} cannot be written: {reason(error, target)}. Name another folder."
        ) from error
    return {"coolr_file": target / "catalogue.parquet", "coolr_archive": target}
