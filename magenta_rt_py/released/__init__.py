"""The released Magenta RealTime files: fetching, reading, converting, and checking that we compute what they mean."""
