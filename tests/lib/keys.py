"""Keys of tables, for tests that split ranges inside them (docs/formats/key.md)."""
FIRST_TABLE = 1001  # the id of the first table of a new cluster; indexes have none of their own


def key_of(table, at=None, wide=False, index=1):
    """The hex key of a table, or of its row with that INT (wide: BIGINT) in the index's first column."""
    assert 240 <= table < 2288 + 65536
    key = "02%02x%02x" % (241 + (table - 240) // 256, (table - 240) % 256) if table < 2288 else "02f9%04x" % (table - 2288)
    if at is None:
        return key
    return key + "%02x" % index + ("%016x" % (0x8000000000000000 + at) if wide else "%08x" % (0x80000000 + at))
