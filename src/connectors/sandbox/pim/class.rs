//! The class `Product` of the stand-in's site, as data: what Data Hub would generate a schema
//! from. Operation names and system fields are Data Hub's; the fields of the class are what one
//! plausible site has.

/// What a field of the class takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A list of texts (a multiselect).
    Texts,
    /// Unix seconds as text, or a date as text; shown as a text.
    Date,
    /// `{value, unit | unitId}`.
    Quantity,
    /// One text per language; an input sets that of `defaultLanguage`.
    Localized,
    /// The site's locale collector: an input sets the languages that it names of another field.
    Collector(&'static str),
    /// One text per name, set as a whole: a data type of the site's own.
    Named,
    /// `{id}` of an asset.
    Image,
    /// `{replace, images: [{id}]}`: without `replace` the images are appended.
    Gallery,
    /// One reference to another element.
    Relation,
    /// References to other elements, set as a whole.
    Relations,
    /// What the stand-in takes and forgets.
    Tags,
    /// A system column that the site has added to the mutation schema.
    Column(&'static str),
}

impl Kind {
    /// The type of what an input gives, and of what a query shows; `None`: queries do not have it.
    pub(super) fn types(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Text | Self::Date | Self::Localized => ("String", Some("String")),
            Self::Number => ("Float", Some("Float")),
            Self::Bool => ("Boolean", Some("Boolean")),
            Self::Texts => ("[String]", Some("[String]")),
            Self::Quantity => ("QuantityValueInput", Some("QuantityValue")),
            Self::Collector(_) => ("LocalizedString", None),
            Self::Named => ("NamedTexts", Some("NamedTexts")),
            Self::Image => ("ImageInput", Some("asset")),
            Self::Gallery => ("ImageGalleryInput", Some("[hotspotimage]")),
            Self::Relation => ("ElementDescriptorInput", Some("object_Category")),
            Self::Relations => ("[ElementDescriptorInput]", Some("[object_Category]")),
            Self::Tags => ("[ElementTag]", None),
            // The system columns of queries are not fields of the class.
            Self::Column(of) => (of, None),
        }
    }
}

/// The fields that a mutation may set.
pub(super) const FIELDS: &[(&str, Kind)] = &[
    ("sku", Kind::Text),
    ("ean", Kind::Text),
    ("status", Kind::Text),
    ("price", Kind::Number),
    ("weight", Kind::Quantity),
    ("name", Kind::Localized),
    ("description", Kind::Localized),
    ("name_translated", Kind::Collector("name")),
    ("description_translated", Kind::Collector("description")),
    ("availableFrom", Kind::Date),
    ("mainImage", Kind::Image),
    ("gallery", Kind::Gallery),
    ("mainCategory", Kind::Relation),
    ("categories", Kind::Relations),
    ("published", Kind::Column("Boolean")),
    ("key", Kind::Column("String")),
    ("tags", Kind::Tags),
    ("urlKey", Kind::Text),
    ("brand", Kind::Text),
    ("currency", Kind::Text),
    ("compareAtPrice", Kind::Number),
    ("categoryPath", Kind::Text),
    ("attributes", Kind::Named),
    ("imageUrls", Kind::Texts),
    ("inStock", Kind::Bool),
    ("source", Kind::Text),
    ("sourceId", Kind::Text),
    ("contentHash", Kind::Text),
];

/// What a field takes, if the class has it.
pub(super) fn kind(name: &str) -> Option<Kind> {
    FIELDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
