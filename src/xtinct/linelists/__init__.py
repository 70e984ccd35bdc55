"""Line lists, the data of Xtinct: from crystals by structure factors, from lattices by extinction laws."""
