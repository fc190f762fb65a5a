//! Invented products in the shape of a large marketplace's export, quirks included: fields that
//! are always null, check marks in descriptions, titles of 500 characters, attributes that repeat.

use std::io::{self, Write};

use serde_json::{Value, json};

const BRANDS: &[&str] =
    &["SHEIN", "SHEIN", "SHEIN", "SHEIN", "Norrfold", "Unboxly", "Tamarind", "Kestrel & Co"];
const COLORS: &[&str] =
    &["Multicolor", "Black", "White", "N/A", "Red", "Dusty Pink", "Navy Blue", "Beige", "Rose Gold"];
const SIZES: &[&str] =
    &["one-size", "one-size", "one-size", "50*50", "17*16*2 inch", "30pcs", "M", "24 inch"];
const KINDS: &[&str] =
    &["Clock", "Storage Box", "Lamp", "Blanket", "Notebook", "Bracelet", "Backpack", "Bird Feeder", "Mug"];
const WORDS: &[&str] = &[
    "Handmade",
    "Foldable",
    "Vintage",
    "Waterproof",
    "Minimalist",
    "Floral",
    "Portable",
    "Woven",
    "Retro",
    "Cozy",
    "Large Capacity",
    "For Living Room",
    "For Kitchen",
    "For Travel",
    "For Kids",
    "Birthday Gift",
    "Double Layer",
    "With Handle",
    "Wall Mounted",
    "Summer Season",
    "Home Decoration",
    "Back To School",
    "Daily Commute",
    "Geometric",
];
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("Material", &["PVC", "Polyester", "Zinc Alloy", "Bamboo", "PP"]),
    ("Pattern Type", &["Plain", "Floral", "Geometric", "Letter"]),
    ("Occasion", &["Daily", "Party", "Wedding", "Vacation"]),
    ("Style", &["Casual", "Elegant", "Glamorous", "Fashionable", "Boho"]),
    ("Features", &["Cooling", "Soft", "Stretch", "Durable", "Foldable"]),
    ("Suitable Age", &["3-6years", "6-12years", "over 12years"]),
    ("Batteries Included", &["Yes", "No"]),
    ("Composition", &["92% Polyester", "8% Elastane", "100% Cotton"]),
    ("Frame\u{a0}Color", &["Black", "Silver"]),
    ("Room", &["Living Room", "Bedroom", "Kitchen", "Bathroom"]),
    ("Oven Safe (-4~220 degrees Celsius)", &["Yes", "No"]),
    ("Care Instructions", &["Machine wash, do not dry clean", "Hand wash"]),
];
const TREES: &[&[&str]] = &[
    &["Home & Living", "Home Decor", "Artificial Decorations", "Artificial Vertical Vines"],
    &["Home & Living", "Event & Party Supplies", "Party Decorations", "Balloons & Garlands"],
    &["Home & Living", "Kitchen & Dining", "Drinkware", "Mugs"],
    &["Jewelry & Watches", "Women Fashion Jewelry", "Women Bracelets"],
    &["Bags & Luggage", "Women Bags", "Women Backpacks"],
    &["Tools & Home Improvement", "Lighting & Lamp", "Table Lamps & Night Lights"],
    &["Office & School Supplies", "Notebooks & Writing Pads", "Notebooks"],
    &["Pet Supplies", "Bird Supplies", "Bird Feeders"],
    &["Sports & Outdoor", "Camping & Hiking", "Camping Décor & Lanterns"],
    &["Musical Instruments", "Percussion"],
];

/// A series of products.
pub(crate) struct Products {
    count: u64,
    seed: u64,
    invalid: u64,
}

impl Products {
    /// The series that `count`, `seed` and the number of invalid products determine.
    pub(crate) fn new(count: u64, seed: u64, invalid: u64) -> Self {
        Self { count, seed, invalid: invalid.min(count) }
    }

    /// Writes all of them as a JSON array, one per line.
    pub(crate) fn write_array(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"[")?;
        for position in 0..self.count {
            out.write_all(if position == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *out, &self.product(position))?;
        }
        out.write_all(b"\n]\n")
    }

    /// The product at a position: it follows from the position alone.
    pub(crate) fn product(&self, position: u64) -> Value {
        let mut chance = Chance(self.seed ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut product = valid(position, &mut chance);
        if position == self.twin() && position > 0 {
            // Two products of one title, as the real data has many.
            product["product_name"] = self.product(position - 1)["product_name"].clone();
        }
        let step = self.count.checked_div(self.invalid).unwrap_or(u64::MAX);
        if position % step == step / 2 && position / step < self.invalid {
            match position / step % 3 {
                0 => product["final_price"] = json!(-3),
                1 => product["product_name"] = Value::Null,
                _ => product["currency"] = json!("US Dollar"),
            }
        }
        product
    }

    /// The second of the two with one title; neither is an invalid one.
    fn twin(&self) -> u64 {
        self.count / 12 + 1
    }
}

fn valid(position: u64, chance: &mut Chance) -> Value {
    let id = 31_000_000 + position * 7 + chance.below(7);
    let rich = chance.below(8) == 0;
    let brand = chance.one(BRANDS);
    let color = chance.one(COLORS);
    let size = chance.one(SIZES);
    let tree = chance.one(TREES);
    let title = title(rich, chance);
    let images = images(if rich { 17 + chance.below(9) } else { 6 + chance.below(10) }, chance);
    let cents = 75 + chance.below(20_000);
    let discount = if chance.below(3) == 0 { 0 } else { chance.below(900) };
    let leaf = tree[tree.len() - 1];
    let slug: String =
        title.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).collect();
    json!({
        "product_name": title,
        "description": format!("Free Returns ✓ Free Shipping✓. {title}- {leaf} at SHEIN."),
        "initial_price": price(cents + discount),
        "final_price": price(cents),
        "currency": "USD",
        "in_stock": chance.below(20) != 0,
        "color": color,
        "size": size,
        "reviews_count": 0,
        "main_image": images[0],
        "category_url": category_url(leaf, chance),
        "url": format!("https://us.shop.example/{slug}-p-{id}.html"),
        "category_tree": tree.iter().map(|name| json!({"name": name, "url": category_url(name, chance)})).collect::<Vec<_>>(),
        "country_code": "US",
        "domain": "us.shop.example",
        "image_count": images.len(),
        "image_urls": images,
        "model_number": format!("s{}24{:014}", ["h", "t", "j", "z"][chance.index(4)], chance.below(100_000_000_000_000)),
        "offers": null,
        "other_attributes": attributes(color, rich, chance),
        "product_id": id.to_string(),
        "rating": 0,
        "related_products": null,
        "root_category": tree[0],
        "top_reviews": null,
        "category": leaf,
        "brand": brand,
        "all_available_sizes": [size],
    })
}

fn title(rich: bool, chance: &mut Chance) -> String {
    let mut title = format!("{}pcs {} {}", 1 + chance.below(60), chance.one(WORDS), chance.one(KINDS));
    let length = if rich { 180 + chance.below(320) } else { 50 + chance.below(70) };
    while (title.len() as u64) < length {
        title.push_str(if chance.below(12) == 0 { "  " } else { ", " });
        title.push_str(chance.one(WORDS));
        if chance.below(5) == 0 {
            title.extend([" ", &(3 + chance.below(180)).to_string(), "cm"]);
        }
    }
    title.truncate(500);
    title.trim_end().to_owned()
}

fn images(count: u64, chance: &mut Chance) -> Vec<String> {
    let mut images: Vec<String> = (0..count)
        .map(|_| {
            let (folder, name) = (chance.below(256), chance.next());
            format!(
                "https://img.shop.example/images3_spmp/2024/08/15/{folder:02x}/1723687{name:016x}{:016x}.jpg",
                chance.next()
            )
        })
        .collect();
    if chance.below(5) == 0 {
        // The real data repeats pictures.
        images.push(images[0].clone());
    }
    images
}

fn attributes(color: &str, rich: bool, chance: &mut Chance) -> Vec<Value> {
    let mut attributes = vec![json!({"name": "Color", "value": color})];
    for _ in 0..if rich { 8 + chance.below(10) } else { 2 + chance.below(4) } {
        let (name, values) = ATTRIBUTES[chance.index(ATTRIBUTES.len())];
        attributes.push(json!({"name": name, "value": chance.one(values)}));
    }
    attributes
}

fn category_url(name: &str, chance: &mut Chance) -> String {
    let slug: String =
        name.chars().map(|sign| if sign.is_ascii_alphanumeric() { sign } else { '-' }).collect();
    format!("https://us.shop.example/{slug}-c-{}.html", 1000 + chance.below(9000))
}

/// An amount in the digits that the export uses: no zeros at the end.
fn price(cents: u64) -> Value {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.parse().map_or(Value::Null, Value::Number)
}

/// Chance that is the same on every machine and in every version: SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or(0)
    }

    fn one<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
