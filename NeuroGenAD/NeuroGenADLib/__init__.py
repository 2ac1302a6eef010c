"""The parts of the NeuroGenAD module: settings, results, lesions cut again, views and exports."""
