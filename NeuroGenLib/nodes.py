"""Between MRML nodes and files, and the folder in the subject hierarchy that holds a result: the functions by name."""

from NeuroGenLib.hierarchy import (
    addToFolder,
    folderOf,
    itemOf,
    nodesInFolder,
    readStamp,
    removeFolder,
    resultFolder,
    resultFolders,
    stamp,
    subjectHierarchy,
    watchRemovals,
)
from NeuroGenLib.segmentations import (
    exportSegmentation,
    importSegmentation,
    newSegmentation,
    segmentIds,
    segmentLabels,
    segmentOfLabel,
    setSegments,
)
from NeuroGenLib.volume_files import exportVolume, importVolume, isOnGridOf, layOnGridOf

__all__ = [
    "addToFolder",
    "exportSegmentation",
    "exportVolume",
    "folderOf",
    "importSegmentation",
    "importVolume",
    "isOnGridOf",
    "itemOf",
    "layOnGridOf",
    "newSegmentation",
    "nodesInFolder",
    "readStamp",
    "removeFolder",
    "resultFolder",
    "resultFolders",
    "segmentIds",
    "segmentLabels",
    "segmentOfLabel",
    "setSegments",
    "stamp",
    "subjectHierarchy",
    "watchRemovals",
]
