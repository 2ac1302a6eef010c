"""What the three NeuroGen modules share inside 3D Slicer; imports nothing but the standard library by itself."""
