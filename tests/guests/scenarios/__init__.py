"""The scenarios, in the order they run."""

from scenarios import basics, boots, filters, life, move, offloads, queues, switching

__all__ = ["basics", "boots", "filters", "life", "move", "offloads", "queues", "switching"]
