"""Does a history of list-appends fit one order of time? The checker; no SQL here.

Every transaction appends values of its own, unique, to lists, and reads lists. Three sorts of things happen at one moment each:
  - a commit: all appends of the transaction, and its locking reads;
  - a snapshot: all its plain reads (or those of one statement, for READ COMMITTED);
  - a point read by itself.
The final lists give the order of the appends to each list. From this, edges "must be before":
  commit -> commit    the next append to the same list (ww); an append that a locking read saw (wr), or did not see (rw)
  commit -> snapshot  it saw the append
  snapshot -> commit  it read the list without the append
  anything -> what began after it was over for those who asked (real time)
Timestamps of a correct server grow along all of them, so a cycle is an anomaly, and the cycle says which: a transaction that was seen
half, a lost write, a stale read. Beside that: an append that was acknowledged is there, once; one that was refused is not; what was
read is the beginning of the final list."""
import bisect

INFINITE = float("inf")


class Event:
    """A commit (appends, locking reads), a snapshot or a point read (reads). reads: {key: number of values seen, but own ones}."""

    __slots__ = ("name", "kind", "start", "end", "reads", "appends")

    def __init__(self, name, kind, start, end):
        self.name, self.kind, self.start, self.end = name, kind, start, end
        self.reads, self.appends = {}, []

    def __str__(self):
        parts = ["%s %s [%.6f %.6f]" % (self.kind, self.name, self.start, self.end)]
        if self.appends:
            parts.append("appends " + " ".join("%s@%d" % a for a in self.appends))
        if self.reads:
            parts.append("reads " + " ".join("%s:%d" % r for r in sorted(self.reads.items())))
        return ", ".join(parts)


class History:
    def __init__(self, final):
        """final: {key: list of values} after all has ended."""
        self.final = final
        self.place = {}
        self.problems = []
        self.events = []
        for key, values in final.items():
            for i, v in enumerate(values):
                if v in self.place:
                    self.problem("value %s is there twice: list %s at %d and %s" % (v, key, i, self.place[v]))
                self.place[v] = (key, i)
        self.known = set()

    def problem(self, text):
        self.problems.append(text)

    def appended(self, event, key, value, state):
        """state: "yes" (acknowledged), "no" (refused), "unknown"."""
        self.known.add(value)
        at = self.place.get(value)
        if at is None:
            if state == "yes":
                self.problem("lost: %s was acknowledged, list %s does not have it (%s)" % (value, key, event))
            return
        if state == "no":
            self.problem("%s was refused, but is in list %s" % (value, key))
        if at[0] != key:
            self.problem("%s was appended to list %s and is in %s" % (value, key, at[0]))
            return
        event.appends.append(at)

    def read(self, event, key, values):
        """values without those that the reader itself has appended."""
        final = self.final[key]
        if values != final[:len(values)]:
            at = next(i for i, v in enumerate(values) if i >= len(final) or v != final[i])
            self.problem("%s read list %s, and its element %d is %s; at the end it is %s" %
                         (event, key, at, values[at], final[at] if at < len(final) else "none"))
            return
        event.reads[key] = len(values)

    def add(self, event):
        if event.appends or event.reads:
            self.events.append(event)

    def check(self):
        """The list of what is wrong."""
        for v in self.place:
            if v not in self.known:
                self.problem("%s is in list %s, nobody has appended it" % (v, self.place[v][0]))
        cycle = self._cycle()
        if cycle:
            self.problem("a cycle:\n    " + "\n    ".join(cycle))
        return self.problems

    # ---- the graph ----

    def _edges(self):
        """[(from, to, why)] by number of event, real time left out."""
        writer = {}
        for n, e in enumerate(self.events):
            for at in e.appends:
                writer[at] = n
        out = []
        for n, e in enumerate(self.events):
            for key, i in e.appends:
                before = writer.get((key, i - 1))
                if before is not None and before != n:
                    out.append((before, n, "next append to %s" % key))
            for key, seen in e.reads.items():
                last, following = writer.get((key, seen - 1)), writer.get((key, seen))
                if last is not None and last != n:
                    out.append((last, n, "seen in %s" % key))
                if following is not None and following != n:
                    out.append((n, following, "not seen in %s" % key))
        return out

    def _graph(self):
        """Edges with real time: the ends of events in order, each after the one before; who begins comes after the last end."""
        count = len(self.events)
        graph = [[] for _ in range(count)]
        for a, b, why in self._edges():
            graph[a].append((b, why))
        ends = sorted((e.end, n) for n, e in enumerate(self.events) if e.end != INFINITE)
        times = [t for t, _ in ends]
        for i, (_, n) in enumerate(ends):
            graph.append([(count + i + 1, "")] if i + 1 < len(ends) else [])
            graph[n].append((count + i, "over"))
        for n, e in enumerate(self.events):
            i = bisect.bisect_left(times, e.start) - 1
            if i >= 0:
                graph[count + i].append((n, "begins later"))
        return graph

    def _cycle(self):
        graph = self._graph()
        component = _components(graph)
        shortest = None
        tried = 0
        for n in range(len(self.events)):
            if component[n] is None or tried > 200:
                continue
            tried += 1
            found = _shortest_cycle(graph, n, component)
            if found and (shortest is None or len(found) < len(shortest)):
                shortest = found
        if shortest is None:
            return None
        lines = []
        for n, why in shortest:
            if n < len(self.events):
                lines.append(("-- %s --> " % why if why else "") + str(self.events[n]))
        return lines


def _components(graph):
    """Tarjan's algorithm without recursion: per node the number of its component if that has more than one node, else None."""
    index, low, on = [None] * len(graph), [0] * len(graph), [False] * len(graph)
    result, stack, counter = [None] * len(graph), [], 0
    for root in range(len(graph)):
        if index[root] is not None:
            continue
        work = [(root, 0)]
        while work:
            v, i = work.pop()
            if i == 0:
                index[v] = low[v] = counter
                counter += 1
                stack.append(v)
                on[v] = True
            recursed = False
            for j in range(i, len(graph[v])):
                w = graph[v][j][0]
                if index[w] is None:
                    work.append((v, j + 1))
                    work.append((w, 0))
                    recursed = True
                    break
                if on[w]:
                    low[v] = min(low[v], index[w])
            if recursed:
                continue
            if low[v] == index[v]:
                members = []
                while True:
                    w = stack.pop()
                    on[w] = False
                    members.append(w)
                    if w == v:
                        break
                if len(members) > 1:
                    for w in members:
                        result[w] = v
            if work:
                u = work[-1][0]
                low[u] = min(low[u], low[v])
    return result


def _shortest_cycle(graph, start, component):
    """[(node, by what edge)] from start to start, breadth first."""
    came = {}
    level = [start]
    while level:
        following = []
        for v in level:
            for w, why in graph[v]:
                if component[w] != component[start]:
                    continue
                if w == start:
                    path = [(w, why)]
                    while v != start:
                        u, reason = came[v]
                        path.append((v, reason))
                        v = u
                    path.append((start, ""))
                    return path[::-1]
                if w not in came:
                    came[w] = (v, why)
                    following.append(w)
        level = following
    return None


def self_test():
    """The checker finds what it is for."""
    def history(final, events):
        h = History(final)
        for name, kind, start, end, appends, reads in events:
            e = Event(name, kind, start, end)
            for key, value in appends:
                h.appended(e, key, value, "yes")
            for key, values in reads:
                h.read(e, key, values)
            h.add(e)
        return h.check()

    final = {"a": [1, 3], "b": [2]}
    two = ("t", "commit", 0, 5, [("a", 1), ("b", 2)], [])
    three = ("u", "commit", 6, 7, [("a", 3)], [])
    assert not history(final, [two, three, ("s", "snapshot", 1, 2, [], [("a", [1]), ("b", [2])])])
    assert not history(final, [two, three, ("s", "snapshot", 1, 2, [], [("a", []), ("b", [])])])
    assert "cycle" in history(final, [two, three, ("s", "snapshot", 1, 2, [], [("a", [1]), ("b", [])])])[0]  # half seen
    assert "cycle" in history(final, [two, three, ("s", "snapshot", 8, 9, [], [("a", [1])])])[0]  # stale
    assert "cycle" in history(final, [two, ("u", "commit", 6, 7, [("a", 3)], []), ("s", "snapshot", 1, 2, [], [("a", [1, 3])])])[0]
    assert "lost" in history({"a": [1], "b": [2]}, [two, three])[0]
    assert "element" in history(final, [two, three, ("s", "snapshot", 1, 2, [], [("a", [3])])])[0]
    crossed = [("t", "commit", 0, 9, [("a", 1)], [("b", [])]), ("u", "commit", 0, 9, [("b", 2)], [("a", [])])]
    assert "cycle" in history({"a": [1], "b": [2]}, crossed)[0]  # write skew under locks


if __name__ == "__main__":
    self_test()
    print("1 passed, 0 failed")
