"""Two sessions under a simulation: whatever the link does, what is promised holds."""

from __future__ import annotations

import os
import unittest

from simulation import World

SEEDS = int(os.environ.get("MSIP_SIMULATION_SEEDS", "40"))
FIRST = int(os.environ.get("MSIP_SIMULATION_FIRST", "1"))


class Simulation(unittest.TestCase):
    def test_promises_hold_over_links_that_break(self) -> None:
        cuts = 0
        for seed in range(FIRST, FIRST + SEEDS):
            world = World(seed)
            world.run(400)
            cuts += world.cuts
        self.assertGreater(cuts, SEEDS, "links were cut")


if __name__ == "__main__":
    unittest.main()
