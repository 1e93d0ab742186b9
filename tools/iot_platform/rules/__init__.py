"""What every part goes by: names, codes, signs, choices of behaviour, faults to inject."""
