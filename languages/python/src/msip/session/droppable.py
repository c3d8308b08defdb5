"""The droppable queue: STATE, LOG and METRIC messages that wait for capacity (docs/protocol.md, "Kinds")."""

from __future__ import annotations

from collections import OrderedDict

from msip.protocol import Kind
from msip.session.outgoing import FRAME_COST

__all__ = ["Droppable", "DroppableQueue", "Dropped", "is_droppable"]


def is_droppable(kind: Kind) -> bool:
    """Whether messages of this kind may be dropped where there is no capacity for them."""
    return kind >= Kind.STATE


class Dropped:
    """How many messages were taken and then dropped, by reason."""

    __slots__ = ("disconnected", "log", "metric", "state")

    def __init__(self) -> None:
        self.state = 0
        """Replaced by a newer one."""
        self.log = 0
        self.metric = 0
        self.disconnected = 0
        """Queued when the connection was lost, and not acknowledged."""

    def count(self, kind: Kind) -> None:
        """One was dropped by its kind."""
        if kind is Kind.STATE:
            self.state += 1
        elif kind is Kind.LOG:
            self.log += 1
        else:
            self.metric += 1


class Droppable:
    """A message in the queue: its frame but for the id, which it gets when it is sent."""

    __slots__ = ("frame", "key", "kind", "waiter")

    def __init__(self, frame: bytes, kind: Kind, key: tuple[int, str, str] | None, waiter: int) -> None:
        self.frame = frame
        self.kind = kind
        self.key = key
        """Of a STATE: its variant, topic and key."""
        self.waiter = waiter
        """The placeholder of the exchange that waits for its acknowledgment; 0 is none."""

    @property
    def cost(self) -> int:
        """What it takes of the queue."""
        return len(self.frame) + FRAME_COST


class DroppableQueue:
    """Messages in the order in which they are sent. A newer STATE takes the place of an older one of its key."""

    __slots__ = ("_logs", "_next", "_states", "_waiting", "cost", "states_cost")

    def __init__(self) -> None:
        # Each by its place in the order, which is that in which places were taken. A plain dict would be slow to empty from
        # its front.
        self._waiting: OrderedDict[int, Droppable] = OrderedDict()
        self._logs: OrderedDict[int, None] = OrderedDict()
        self._states: dict[tuple[int, str, str], int] = {}
        self._next = 0
        self.cost = 0
        self.states_cost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def state_count(self) -> int:
        """How many of them are STATE."""
        return len(self._states)

    def has_key(self, key: tuple[int, str, str]) -> bool:
        """Whether a STATE of this key waits."""
        return key in self._states

    def put(self, droppable: Droppable) -> Droppable | None:
        """Appends a message, or replaces an older STATE of its key, which is returned."""
        self.cost += droppable.cost
        key = droppable.key
        if key is None:
            self._logs[self._next] = None
        else:
            self.states_cost += droppable.cost
            place = self._states.get(key)
            if place is not None:
                older = self._waiting[place]
                self._waiting[place] = droppable
                self._uncount(older)
                return older
            self._states[key] = self._next
        self._waiting[self._next] = droppable
        self._next += 1
        return None

    def first(self) -> Droppable | None:
        """The one that is sent next."""
        return next(iter(self._waiting.values()), None)

    def take_first(self) -> Droppable | None:
        """Takes that out."""
        place = next(iter(self._waiting), None)
        return None if place is None else self._take(place)

    def drop_oldest(self) -> Droppable | None:
        """Takes out the oldest LOG or METRIC."""
        place = next(iter(self._logs), None)
        return None if place is None else self._take(place)

    def _take(self, place: int) -> Droppable:
        droppable = self._waiting.pop(place)
        if droppable.key is None:
            self._logs.pop(place, None)
        else:
            self._states.pop(droppable.key, None)
        self._uncount(droppable)
        return droppable

    def _uncount(self, droppable: Droppable) -> None:
        self.cost -= droppable.cost
        if droppable.key is not None:
            self.states_cost -= droppable.cost
