//! What the stand-in's site holds besides products: some images and categories that products can
//! refer to. They are fixed, so that tests and trials can name them.

/// The languages of the site; the first is the default.
pub(super) const LANGUAGES: [&str; 2] = ["en", "de"];

/// A category: its id, its full path, its name in each language. Objects share one space of ids;
/// those are far above the ids of products.
pub(super) const CATEGORIES: [(u64, &str, [&str; 2]); 3] = [
    (900_001, "/Categories/Home", ["Home", "Wohnen"]),
    (900_002, "/Categories/Home/Kitchen", ["Kitchen", "Küche"]),
    (900_003, "/Categories/Garden", ["Garden", "Garten"]),
];

/// An image: its id and its full path. Assets have ids of their own.
pub(super) const IMAGES: [(u64, &str); 3] =
    [(101, "/Images/front.jpg"), (102, "/Images/back.jpg"), (103, "/Images/detail.jpg")];

/// Which category a reference means, by id or by full path.
pub(super) fn category(id: Option<u64>, fullpath: Option<&str>) -> Option<u64> {
    let fits = |known: &&(u64, &str, [&str; 2])| match id {
        Some(id) => known.0 == id,
        None => fullpath == Some(known.1),
    };
    CATEGORIES.iter().find(fits).map(|(id, ..)| *id)
}

/// Which image is meant, by id or by full path.
pub(super) fn image(id: Option<u64>, fullpath: Option<&str>) -> Option<u64> {
    let fits = |known: &&(u64, &str)| match id {
        Some(id) => known.0 == id,
        None => fullpath == Some(known.1),
    };
    IMAGES.iter().find(fits).map(|(id, _)| *id)
}
