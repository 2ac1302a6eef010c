# Slicer writes NeuroGenConfig.cmake here, for extensions that build on this one; nothing is installed.
