"""How the rows of an answer compare: by value, and exactly."""
import collections
import decimal
import re
import unicodedata

decimal.getcontext().prec = 100     # more than any DECIMAL has
FRACTION = re.compile(r"^-?[0-9 :-]*\d\d:\d\d:\d\d\.\d+$")
# of floats: values that are close lie in one cell of at least one of two grids
GRIDS = (1.0, 1.0000003)


def fold(text):
    """Equal for texts of which some collation says that they are: case, accents, spaces at the end, a sharp s for one s or two."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return plain.casefold().replace("ss", "s").rstrip(" ")


def normal(value, folded, loose, grid):
    if loose and isinstance(value, (decimal.Decimal, int, float)):
        return float("%.6g" % (float(value) * grid))
    if isinstance(value, (decimal.Decimal, int)) and not isinstance(value, bool):
        return decimal.Decimal(value).normalize() + 0
    if isinstance(value, float):
        return float("%.6g" % (value * grid))
    if isinstance(value, str) and FRACTION.match(value):
        value = value.rstrip("0").rstrip(".")
    if isinstance(value, bytes):
        value = value.decode("utf8", "surrogateescape")
    return fold(value) if folded and isinstance(value, str) else value


def exact(value, folded, loose):
    """With all decimals that are shown; floats, of which the last digits are an order of summing, and parameters by value."""
    if isinstance(value, float) or loose:
        return "by value"
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        value = value.decode("utf8", "surrogateescape")
    return fold(value) if folded and isinstance(value, str) else value


class Rows:
    """The rows of an answer, as they compare on each of GRIDS; without an order as multisets."""

    def __init__(self, forms, shown=None):
        self.forms, self.shown = forms, shown

    def __eq__(self, other):
        return any(a == b for a, b in zip(self.forms, other.forms))

    def __add__(self, other):
        return Rows([a + b for a, b in zip(self.forms, other.forms)])

    def one(self):
        return next(iter(self.forms[0]))

    def missing_in(self, other):
        return self.less(self.forms[0], other.forms[0] if other is not None else None)

    def shown_missing_in(self, other):
        return self.less(self.shown, other.shown)

    @staticmethod
    def less(mine, theirs):
        return mine if isinstance(mine, list) else sorted((mine - (theirs or collections.Counter())).items(), key=str)[:8]

    def __len__(self):
        return len(self.forms[0]) if isinstance(self.forms[0], list) else sum(self.forms[0].values())


def rows_of(rows, ordered, folded, loose):
    """loose: numbers by their value only, whatever type a parameter gave them"""
    forms = [[tuple(normal(v, folded, loose, grid) for v in row) for row in rows] for grid in GRIDS]
    shown = [tuple(exact(v, folded, loose) for v in row) for row in rows]
    return Rows(forms if ordered else [collections.Counter(f) for f in forms], shown if ordered else collections.Counter(shown))
