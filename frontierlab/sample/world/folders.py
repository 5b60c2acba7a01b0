"""The folders of the synthetic world: their catalogue entries, and how jobs query them.

The names are names of real COOL folders or similar to them; numbers, tags and access patterns are invented. The list
does not depend on a seed: every world has the same catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DATABASES", "FOLDERS", "Folder", "Runs", "runs"]

DATABASES = ("CONDBR2", "OFLP200", "COMP200", "MONP200")
"""The database instances of the world: all those that a default configuration names."""


class Runs(NamedTuple):
    """The runs of a database instance, ordered by number.

    ``number`` is the run number, ``start`` its start in ns since the epoch; both are int64 arrays of the same length.
    """

    number: NDArray[np.int64]
    start: NDArray[np.int64]


@dataclass(frozen=True)
class Folder:
    """One folder: its catalogue entry, the structure of its payloads, and how jobs query it.

    Parameters
    ----------
    db, schema, node, node_id, nodetime
        As in the catalogue.
    asks
        The IOV that a job queries: ``event`` for that of its event (caches badly), ``run`` for its whole run, ``all``
        for everything.
    weight
        Its relative share of the queries of its database instance; `names.folder_shares` adapts it for overlay tasks.
    iovs, channels
        Number of IOVs that are drawn for a tag, so that a channel has at most so many; and number of channels.
    size
        Median size of a payload row, in bytes.
    tags
        Names of its tags, with ids from 1 in this order; empty for a single-version folder.
    shape
        A peculiarity of its IOVs: ``gaps`` between them, ``overlap`` within one channel, ``empty`` (the last tag has no
        payload), ``late`` (none begins before the eleventh run), ``begun`` (the first one begins with the first run).
    """

    db: str
    schema: str
    node: str
    node_id: int
    nodetime: Literal["run-lumi", "time"]
    asks: Literal["event", "run", "all"]
    weight: float
    iovs: int
    channels: int
    size: int
    tags: tuple[str, ...] = ()
    shape: Literal["", "gaps", "overlap", "empty", "late", "begun"] = ""


def runs(db: str) -> Runs:
    """Return the runs of a database instance: 64 of CONDBR2 and of MONP200, 5 of OFLP200, 20 of COMP200."""
    number, first, days = {
        "CONDBR2": (np.r_[313929, 429_000 + 1_117 * np.arange(63)], "2022-07-05", 24),
        "OFLP200": (np.array([284_500, 310_000, 330_000, 410_000, 450_000]), "2015-05-01", 700),
        "COMP200": (152_166 + 2_503 * np.arange(20), "2010-03-30", 50),
        "MONP200": (np.r_[313929, 429_000 + 1_117 * np.arange(63)], "2022-07-05", 24),
    }[db]
    day = np.timedelta64(days, "D")
    start = np.datetime64(first, "ns") + day * np.arange(len(number))
    return Runs(number.astype(np.int64), start.astype(np.int64))


R: Final = "run-lumi"
T: Final = "time"

# fmt: off
FOLDERS: tuple[Folder, ...] = (
    # these cache badly: each job queries the IOV of its event
    Folder("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", 3, R, "event", 14, 160, 1, 900_000,
           ("PixCalib-RUN2-DATA-UPD4-12", "PixCalib-RUN3-DATA-UPD4-02", "PixCalib-BLK-03")),
    Folder("CONDBR2", "ATLAS_COOLONL_SCT", "/SCT/DAQ/Config/Chip", 12, R, "event", 10, 110, 8, 240_000),
    Folder("CONDBR2", "ATLAS_COOLOFL_MDT", "/MDT/T0BLOB", 4, R, "event", 8, 30, 40, 30_000,
           ("MDTT0-RUN3-Upd4-11", "MDTT0-RUN2-Upd4-22")),
    Folder("OFLP200", "ATLAS_COOLOFL_RPC", "/RPC/TRIGGER/CM_THR_ETA", 7, R, "event", 8, 4, 6, 60_000,
           ("RPCTriggerCMThrEta-00", "RPCTriggerCMThrEta-RUN3-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_DCS", "/LAR/DCS/HV/BARREl/I16", 31, T, "event", 5, 400, 16, 800, (), "gaps"),
    Folder("CONDBR2", "ATLAS_COOLOFL_LAR", "/LAR/BadChannelsOfl/BadChannels", 5, R, "event", 4, 60, 4, 25_000,
           ("LARBadChannelsOflBadChannels-RUN2-UPD4-21", "LARBadChannelsOflBadChannels-RUN3-00"), "overlap"),
    # these cache well, but for one of COMP200: jobs repeat the queries of other jobs
    Folder("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixdEdx", 6, R, "run", 2, 40, 1, 3_000,
           ("PixdEdx-RUN2-03", "PixdEdx-RUN3-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixMapOverlay", 9, R, "run", 3, 30, 1, 12_000,
           ("PixMapOverlay-RUN2-04", "PixMapOverlay-Empty-00"), "empty"),
    Folder("CONDBR2", "ATLAS_COOLONL_PIXEL", "/PIXEL/CablingMap", 1, R, "run", 2, 12, 1, 80_000,
           ("PixCablingMap-RUN3-00",)),
    Folder("CONDBR2", "ATLAS_COOLONL_SCT", "/SCT/DAQ/Config/Module", 13, R, "run", 3, 60, 8, 20_000),
    Folder("CONDBR2", "ATLAS_COOLONL_SCT", "/SCT/DAQ/Config/Geog", 14, R, "run", 1, 8, 4, 4_000),
    Folder("CONDBR2", "ATLAS_COOLOFL_SCT", "/SCT/Sensors", 2, R, "all", 1, 3, 6, 700,
           ("SctSensors-Sep03-14",)),
    Folder("CONDBR2", "ATLAS_COOLOFL_SCT", "/SCT/Derived/Monitoring", 5, R, "run", 2, 64, 1, 9_000,
           ("SctDerivedMonitoring-RUN2-UPD4-005", "SctDerivedMonitoring-RUN3-UPD4-001")),
    Folder("CONDBR2", "ATLAS_COOLOFL_DCS", "/SCT/DCS/CHANSTAT", 12, T, "run", 3, 200, 12, 300, (), "gaps"),
    Folder("CONDBR2", "ATLAS_COOLOFL_DCS", "/SCT/DCS/MODTEMP", 13, T, "run", 3, 300, 12, 400),
    Folder("CONDBR2", "ATLAS_COOLOFL_DCS", "/EXT/DCS/MAGNETS/SENSORDATA", 20, T, "run", 2, 250, 4, 200),
    Folder("CONDBR2", "ATLAS_COOLOFL_TRT", "/TRT/Calib/RT", 16, R, "run", 3, 64, 1, 5_000,
           ("TRTCalibRT-RUN2-UPD4-02", "TRTCalibRT-RUN3-UPD4-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_TRT", "/TRT/Calib/T0", 17, R, "run", 3, 64, 1, 600_000,
           ("TRTCalibT0-RUN2-UPD4-02", "TRTCalibT0-RUN3-UPD4-01")),
    Folder("CONDBR2", "ATLAS_COOLONL_TRT", "/TRT/Onl/Cond/StatusHT", 2, R, "run", 1, 10, 1, 40_000,
           ("TrtStrawStatusHT-BLK-01",)),
    Folder("CONDBR2", "ATLAS_COOLONL_LAR", "/LAR/ElecCalibFlat/DAC2uA", 75, R, "run", 2, 14, 2, 1_500),
    Folder("CONDBR2", "ATLAS_COOLONL_LAR", "/LAR/ElecCalibFlat/Ramp", 76, R, "run", 2, 30, 3, 700_000),
    Folder("CONDBR2", "ATLAS_COOLONL_LAR", "/LAR/Noise/Pedestal", 77, R, "run", 1, 30, 3, 500_000, (), "late"),
    Folder("CONDBR2", "ATLAS_COOLOFL_TILE", "/TILE/OFL02/STATUS/ADC", 3, R, "run", 2, 64, 32, 900,
           ("TileOfl02StatusAdc-RUN2-UPD4-14", "TileOfl02StatusAdc-RUN3-UPD4-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_TILE", "/TILE/OFL02/CALIB/CES", 4, R, "run", 2, 40, 32, 2_000,
           ("TileOfl02CalibCes-RUN2-UPD4-20", "TileOfl02CalibCes-RUN3-UPD4-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_CALO", "/CALO/Ofl/Noise/PileUpNoiseLumi", 2, R, "run", 2, 20, 2, 150_000,
           ("CALOOflNoisePileUpNoiseLumi-RUN2-UPD4-10", "CALOOflNoisePileUpNoiseLumi-RUN3-00")),
    Folder("CONDBR2", "ATLAS_COOLOFL_INDET", "/Indet/Beampos", 3, R, "run", 3, 300, 1, 400,
           ("IndetBeampos-RUN2-UPD4-17", "IndetBeampos-RUN3-ES1-UPD2-01"), "gaps"),
    Folder("CONDBR2", "ATLAS_COOLOFL_INDET", "/Indet/AlignL1/ID", 8, R, "run", 2, 60, 1, 1_200,
           ("IndetAlignL1ID-RUN2-25", "IndetAlignL1ID-RUN3-03")),
    Folder("CONDBR2", "ATLAS_COOLOFL_MDT", "/MDT/RTBLOB", 5, R, "run", 3, 25, 40, 20_000,
           ("MDTRT-RUN3-Upd4-11", "MDTRT-RUN2-Upd4-22")),
    Folder("CONDBR2", "ATLAS_COOLOFL_RPC", "/RPC/DQMF/ELEMENT_STATUS", 7, R, "run", 1, 30, 10, 6_000,
           ("RPCDQMFElementStatus_2012_Jaunuary_26",)),
    Folder("CONDBR2", "ATLAS_COOLOFL_TGC", "/TGC/CABLING/MAP_SCHEMA", 2, R, "all", 1, 2, 1, 90_000,
           ("TgcCablingMapschema-00", "TgcCablingMapschema-RUN3-01")),
    Folder("CONDBR2", "ATLAS_COOLOFL_GLOBAL", "/GLOBAL/DETSTATUS/DEFECTS", 1, R, "run", 1, 90, 20, 100,
           ("DetStatus-v105-pro22-13", "HEAD")),
    Folder("CONDBR2", "ATLAS_COOLOFL_TRIGGER", "/TRIGGER/OFLLUMI/OflPrefLumi", 3, R, "run", 1, 128, 1, 700,
           ("OflPrefLumi-RUN3-OflLumi-22-001", "OflLumi-13TeV-009")),
    Folder("CONDBR2", "ATLAS_COOLONL_TRIGGER", "/TRIGGER/HLT/Menu", 5, R, "run", 2, 64, 20, 3_000),
    Folder("CONDBR2", "ATLAS_COOLONL_TRIGGER", "/TRIGGER/LVL1/Prescales", 6, R, "run", 2, 200, 10, 150),
    Folder("CONDBR2", "ATLAS_COOLONL_TDAQ", "/TDAQ/RunCtrl/SOR", 1, R, "run", 2, 64, 1, 250, (), "gaps"),
    Folder("CONDBR2", "ATLAS_COOLONL_TDAQ", "/TDAQ/OLC/BUNCHGROUPS", 2, T, "run", 1, 120, 2, 900),
    Folder("OFLP200", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", 3, R, "run", 3, 5, 1, 800_000,
           ("PixCalib-SIM-RUN2-000-01", "PixCalib-SIM-RUN3-000-02")),
    Folder("OFLP200", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixMapShort", 8, R, "all", 1, 3, 1, 9_000,
           ("PixMapShort-SIM-MC16-000-03",)),
    Folder("OFLP200", "ATLAS_COOLOFL_SCT", "/SCT/Sensors", 5, R, "all", 1, 2, 6, 700,
           ("SctSensors-Sep03-14",)),
    Folder("OFLP200", "ATLAS_COOLOFL_LAR", "/LAR/ElecCalibMC/Noise", 14, R, "run", 2, 4, 1, 300_000,
           ("LARElecCalibMCNoise-CSC02-J-QGSP_BERT_BIRK", "LARElecCalibMCNoise-RUN3-01")),
    Folder("OFLP200", "ATLAS_COOLOFL_LAR", "/LAR/ElecCalibMC/fSampl", 15, R, "run", 2, 4, 1, 200_000,
           ("LARElecCalibMCfSampl-G496-19213-FTFP_BERT_BIRK",)),
    Folder("OFLP200", "ATLAS_COOLOFL_TILE", "/TILE/OFL02/NOISE/SAMPLE", 9, R, "run", 1, 5, 16, 8_000,
           ("TileOfl02NoiseSample-TwoGauss-19",)),
    Folder("OFLP200", "ATLAS_COOLOFL_MDT", "/MDT/T0BLOB", 4, R, "run", 2, 3, 40, 30_000,
           ("MDTT0-4-00", "MDTT0-RUN3-01")),
    Folder("OFLP200", "ATLAS_COOLOFL_DCS", "/SCT/DCS/HV", 14, T, "run", 1, 10, 8, 200),
    Folder("OFLP200", "ATLAS_COOLOFL_GLOBAL", "/GLOBAL/TrackingGeo/LayerMaterialV2", 2, R, "all", 1, 2, 1, 1_500_000,
           ("AtlasLayerMat_v21_", "AtlasLayerMat_v22_")),
    Folder("COMP200", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", 3, R, "run", 2, 18, 1, 700_000,
           ("PixCalib-000-03", "PixCalib-BLK-UPD4-03")),
    Folder("COMP200", "ATLAS_COOLONL_SCT", "/SCT/DAQ/Configuration/Chip", 12, R, "event", 1, 24, 4, 200_000),
    Folder("COMP200", "ATLAS_COOLONL_LAR", "/LAR/ElecCalibOfl/Pedestals/CaliWave", 4, R, "run", 1, 10, 2, 300_000,
           ("LARElecCalibOflPedestalsCaliWave-UPD3-00",)),
    Folder("COMP200", "ATLAS_COOLOFL_DCS", "/TILE/DCS/STATES", 40, T, "run", 1, 60, 4, 150),
    Folder("COMP200", "ATLAS_COOLOFL_TRT", "/TRT/Calib/RT", 3, R, "run", 1, 20, 1, 4_000,
           ("TRTCalibRT-000-01", "TRTCalibRT-UPD4-01")),
    Folder("MONP200", "ATLAS_COOLOFL_GLOBAL", "/GLOBAL/DETSTATUS/SHIFTOFL", 1, R, "run", 1, 64, 12, 90,
           ("DetStatusSHIFTOFL-pass1-analysis-2015", "HEAD")),
    Folder("MONP200", "ATLAS_COOLOFL_TRIGGER", "/TRIGGER/LUMI/HLTPrefLumi", 2, R, "run", 1, 100, 1, 200,
           ("HLTPrefLumi-HEAD", "HLTPrefLumi-v3")),
)
"""The folders of the world; those of CONDBR2 and OFLP200 that cache badly are first."""
# fmt: on
