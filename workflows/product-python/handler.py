"""Validates and normalises the products of a Shein catalogue.

Two functions for AWS Lambda, `validate` and `transform`: each takes one product and returns one, or
raises an error that says what is wrong with it.
"""

import hashlib
import html
import json
import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal

RATES_DATE = "2026-11-20"
EURO_IN = {
    "EUR": "1",
    "USD": "1.0832",
    "GBP": "0.8391",
    "CHF": "0.9377",
    "PLN": "4.3215",
    "SEK": "11.4280",
    "JPY": "166.42",
}

CATEGORIES = {
    "Home & Living": "Home",
    "Home & Living > Event & Party Supplies": "Home > Party",
    "Home & Living > Home Decor": "Home > Decor",
    "Home & Living > Kitchen & Dining": "Home > Kitchen",
    "Home & Living > Arts,Crafts & Sewing": "Hobby > Crafts",
    "Home & Living > Storage & Organization": "Home > Storage",
    "Home & Living > Outdoor & Garden": "Home > Garden",
    "Home & Living > Household Cleaning & Personal Care": "Home > Household",
    "Home & Living > Household Merchandises": "Home > Household",
    "Home & Living > Bathroom": "Home > Bathroom",
    "Home Textile": "Home > Textiles",
    "Home Appliances": "Home > Appliances",
    "Jewelry & Watches": "Jewelry",
    "Jewelry & Watches > Women Fashion Jewelry": "Jewelry > Women",
    "Jewelry & Watches > Fine Jewelry": "Jewelry > Fine",
    "Jewelry & Watches > Jewelry Making": "Hobby > Jewelry Making",
    "Jewelry & Watches > Men Watches": "Jewelry > Watches",
    "Jewelry & Watches > Women Watches": "Jewelry > Watches",
    "Bags & Luggage": "Bags",
    "Bags & Luggage > Women Bags": "Bags > Women",
    "Bags & Luggage > Men Bags": "Bags > Men",
    "Bags & Luggage > Luggage & Travel Gear": "Bags > Travel",
    "Tools & Home Improvement": "Tools",
    "Tools & Home Improvement > Furniture": "Home > Furniture",
    "Tools & Home Improvement > Lighting & Lamp": "Home > Lighting",
    "Tools & Home Improvement > Hand Tools": "Tools > Hand Tools",
    "Tools & Home Improvement > Hardware": "Tools > Hardware",
    "Apparel Accessories": "Fashion > Accessories",
    "Apparel Accessories > Women Accessories": "Fashion > Accessories > Women",
    "Apparel Accessories > Men Accessories": "Fashion > Accessories > Men",
    "Beauty & Health": "Beauty",
    "Beauty & Health > Wigs & Accs": "Beauty > Hair",
    "Beauty & Health > Beauty Tools": "Beauty > Tools",
    "Beauty & Health > Nail,Hand & Foot Care": "Beauty > Nails",
    "Sports & Outdoor": "Sports",
    "Sports & Outdoor > Cycling": "Sports > Cycling",
    "Sports & Outdoor > Water Sports": "Sports > Water",
    "Sports & Outdoor > Camping & Hiking": "Sports > Camping",
    "Office & School Supplies": "Office",
    "Toys & Games": "Toys",
    "Toys & Games > Kids Educational Toys": "Toys > Learning",
    "Pet Supplies": "Pets",
    "Electronics": "Electronics",
    "Electronics > Wearable Devices": "Electronics > Wearables",
    "Automotive": "Automotive",
    "Cell Phones & Accessories": "Electronics > Phones",
    "Men": "Fashion > Men",
    "Women Apparel": "Fashion > Women",
    "Kids": "Fashion > Kids",
    "Shoes": "Fashion > Shoes",
    "Underwear & Sleepwear": "Fashion > Underwear",
}
DEFAULT_CATEGORY = "Other"
PLACES = {source.lower(): place.split(" > ") for source, place in CATEGORIES.items()}

SAYS_NOTHING = {"n/a", "default", "none"}
RENAMED = {
    "heat tolerence": "Heat Tolerance",
    "oven safe (-4~220 degrees celsius)": "Oven Safe",
}
FLAGS = {"batteries included", "boxes included", "oven safe", "dishwasher safe", "microwave safe"}
YES = {"true", "yes", "y", "1", "on"}
NO = {"false", "no", "n", "0", "off"}
PLAIN_OPTIONS = {"one-size", "one size", "n/a", "default"}
TITLE_MAX, HANDLE_MAX, IMAGES_MAX = 255, 100, 30

TEXT_OR_NOTHING = (str, type(None))
OPTIONAL = {
    "description": TEXT_OR_NOTHING,
    "in_stock": (bool, type(None)),
    "brand": TEXT_OR_NOTHING,
    "color": TEXT_OR_NOTHING,
    "size": TEXT_OR_NOTHING,
    "url": TEXT_OR_NOTHING,
    "main_image": TEXT_OR_NOTHING,
    "category": TEXT_OR_NOTHING,
}


class InvalidProduct(ValueError):
    """The product breaks the contract with the supplier."""


def validate(event, context):
    """The product itself, if it is what the supplier promised."""
    problems = list(violations(event))
    if problems:
        raise InvalidProduct("; ".join(problems))
    return event


def violations(product):
    for name in ("product_id", "product_name", "currency"):
        if not isinstance(product.get(name), str) or not product[name]:
            yield "%s must be a text" % name
    if isinstance(product.get("product_id"), str) and len(product["product_id"]) > 64:
        yield "product_id is longer than 64 characters"
    if isinstance(product.get("currency"), str) and not re.fullmatch("[A-Z]{3}", product["currency"]):
        yield "currency must be three capital letters"
    if not is_amount(product.get("final_price")):
        yield "final_price must be a number of at least 0"
    if product.get("initial_price") is not None and not is_amount(product["initial_price"]):
        yield "initial_price must be a number of at least 0"
    for name, types in OPTIONAL.items():
        if not isinstance(product.get(name), types):
            yield "%s has the wrong type" % name
    for name in ("image_urls", "all_available_sizes"):
        if not is_list(product.get(name), lambda entry: isinstance(entry, str)):
            yield "%s must be a list of texts" % name
    for name in ("category_tree", "other_attributes"):
        if not is_list(product.get(name), lambda entry: isinstance(entry, dict) and isinstance(entry.get("name"), str)):
            yield "%s must be a list of objects with a name" % name


def is_amount(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def is_list(value, fits):
    return value is None or isinstance(value, list) and all(fits(entry) for entry in value)


def transform(event, context):
    """The canonical product."""
    source = event
    number = source["product_id"]
    sku = "SHEIN-" + tidy(number)
    product = {
        "id": tidy(number),
        "sku": sku,
        "title": shortened(tidy(source["product_name"]), TITLE_MAX),
        "handle": handle(source["product_name"], number),
        "description": described(source.get("description")),
        "brand": tidy(source.get("brand") or "") or "Unbranded",
        "price": money(source["final_price"], source["currency"]),
        "compare_at_price": compared(source),
        "category": category(source),
        "attributes": attributes(source.get("other_attributes") or []),
        "images": images([source.get("main_image")] + (source.get("image_urls") or [])),
        "variants": variants(source, "SHEIN-" + tidy(number)),
        "in_stock": source.get("in_stock") is True,
        "source": {
            "name": "shein",
            "id": number,
            "url": source.get("url"),
            "model": source.get("model_number"),
            "market": source.get("country_code"),
        },
    }
    product = {name: value for name, value in product.items() if value is not None and value != ""}
    product["source"] = {name: value for name, value in product["source"].items() if value not in (None, "")}
    canonical = json.dumps(product, ensure_ascii=False, separators=(",", ":"))
    product["content_hash"] = hashlib.sha256(canonical.encode()).hexdigest()[:32]
    return product


def tidy(text):
    """One space between words, and nothing that cannot be seen."""
    return " ".join(visible(text).split())


def visible(text):
    hidden = "\u200b\u200e\u200f\ufeff\ufffe"
    return "".join(
        letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter) != "Cc" and letter not in hidden
    )


def shortened(text, most):
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def described(text):
    if not text:
        return None
    if "<" in text or "&" in text:
        text = re.sub(r"(?i)</?(br|p|div|li|ul|ol|h[1-6]|tr|table)\b[^>]*>", "\n", text)
        text = html.unescape(re.sub(r"<[a-zA-Z/!][^>]*>", "", text))
    text = text.replace("Free Returns ✓ Free Shipping✓.", " ")
    lines = (tidy(line) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def handle(name, number):
    end = slug(number, HANDLE_MAX)
    start = slug(name, HANDLE_MAX - len(end) - 1)
    return "-".join(part for part in (start, end) if part)


def slug(text, most, separator="-"):
    """Lower-case letters and digits; cut between words where there is a word end in the second half."""
    words = []
    for word in re.sub(r"['’]", "", ascii_letters(text.lower())).split():
        words.extend(part for part in re.split(r"[\W_]+", word) if part)
    result = separator.join(words)
    if len(result) <= most:
        return result
    cut = result[:most]
    # A word that ends exactly here is whole, and still goes: it might have been longer.
    end = result.rfind(separator, 0, most + 1)
    return (cut[:end] if end * 2 > most else cut).rstrip(separator)


LETTERS = {"ä": "ae", "æ": "ae", "ö": "oe", "œ": "oe", "ü": "ue", "ß": "ss", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}


def ascii_letters(text):
    """Latin letters without their marks, everything that is no letter or digit as a space."""
    letters = []
    for letter in text:
        if letter in LETTERS:
            letters.append(LETTERS[letter])
        elif letter.isalnum():
            bare = unicodedata.normalize("NFD", letter)[0]
            letters.append(bare if bare.isascii() else letter)
        else:
            letters.append(letter if letter in "'’" else " ")
    return "".join(letters)


def money(amount, currency):
    amount = Decimal(str(amount))
    if currency == "EUR":
        return {"amount": rounded(amount), "currency": "EUR"}
    if currency not in EURO_IN:
        raise InvalidProduct("there is no rate for %s" % currency)
    return {"amount": rounded(amount / Decimal(EURO_IN[currency])), "currency": "EUR", "rate_date": RATES_DATE}


def rounded(amount):
    return str(amount.quantize(Decimal("0.01"), ROUND_HALF_UP))


def compared(source):
    before = source.get("initial_price")
    if before is None or before <= source["final_price"]:
        return None
    return money(before, source["currency"])


def category(source):
    names = [tidy(entry["name"]) for entry in source.get("category_tree") or []]
    if not names:
        names = [tidy(name) for name in [source.get("category") or source.get("root_category")] if name]
    if not names:
        return None
    places = [" > ".join(names[:end]) for end in range(len(names), 0, -1)] + names[::-1]
    found = next((PLACES[place.lower()] for place in places if place.lower() in PLACES), None)
    if found is None:
        return {"path": [DEFAULT_CATEGORY], "unmapped": True, "source": names}
    return {"path": found, "source": names}


def attributes(entries):
    gathered = {}
    for entry in entries:
        name, value = tidy(entry["name"]), as_text(entry.get("value"))
        if not name or not value or value.lower() in SAYS_NOTHING:
            continue
        name = RENAMED.get(name.lower(), name)
        shown, values = gathered.setdefault(name.lower(), (name, []))
        if value not in values:
            values.append(value)
    return [typed(key, name, values) for key, (name, values) in gathered.items()]


def as_text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return tidy(str(value)) if isinstance(value, (str, int, float)) else ""


def typed(key, name, values):
    code = slug(key, 60, "_")
    if not code.isascii() or not code:
        code = "attribute_" + hashlib.sha256(key.encode()).hexdigest()[:8]
    elif code[0].isdigit():
        code = "attribute_" + code
    if key in FLAGS and all(value.lower() in YES | NO for value in values):
        return {"code": code, "name": name, "type": "bool", "values": [value.lower() in YES for value in values]}
    return {"code": code, "name": name, "type": "text", "values": values}


def images(addresses):
    found = []
    for address in addresses:
        address = (address or "").strip()
        if address.startswith("//"):
            address = "https:" + address
        is_web = address.startswith(("https://", "http://"))
        if is_web and not re.search(r"[\x00-\x20\x7f]", address) and address not in found:
            found.append(address)
    return found[:IMAGES_MAX]


def options(values):
    found = []
    for value in values:
        value = tidy(value or "")
        if value and value.lower() not in [known.lower() for known in found]:
            found.append(value)
    return found


def variants(source, sku):
    sizes = options(source.get("all_available_sizes") or [source.get("size")])
    colors = options([source.get("color")])
    combinations = [{}]
    for name, values in (("Size", sizes), ("Color", colors)):
        if values:
            combinations = [dict(known, **{name: value}) for known in combinations for value in values]
    made, taken = [], set()
    for chosen in combinations:
        telling = [value for value in chosen.values() if value.lower() not in PLAIN_OPTIONS]
        stem = "-".join([sku] + [slug(value, 40).upper() for value in telling]).rstrip("-")
        number, unique = 1, stem
        while unique in taken:
            number += 1
            unique = "%s-%d" % (stem, number)
        taken.add(unique)
        title = " / ".join(telling) or next(iter(chosen.values()), "Default")
        made.append({"sku": unique, "title": title, "options": chosen})
    return made
