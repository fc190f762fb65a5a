//! Quiet tables: no borders, columns apart by two spaces.

use anstyle::Style;
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use super::output::{BAD, BUSY, CARE, DIM, GOOD, Output};

/// One cell.
pub(super) struct Cell {
    text: String,
    style: Option<Style>,
    is_number: bool,
}

/// Plain text.
pub(super) fn text(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), style: None, is_number: false }
}

/// A number, aligned to the right.
pub(super) fn number(value: u64) -> Cell {
    Cell { text: super::phrase::number(value), style: None, is_number: true }
}

/// A number that is only of interest when it is not zero.
pub(super) fn number_or_blank(value: u64) -> Cell {
    if value == 0 { Cell { text: "-".to_owned(), style: Some(DIM), is_number: true } } else { number(value) }
}

/// The word for where something stands, in its colour.
pub(super) fn status(word: &str) -> Cell {
    Cell { text: word.to_owned(), style: Some(style_of(word)), is_number: false }
}

/// The colour of a status.
pub(super) fn style_of(word: &str) -> Style {
    match word {
        "succeeded" | "done" => GOOD,
        "failed" | "dead_lettered" | "refused" => BAD,
        "interrupted" | "in_doubt" | "backoff" | "paused" => CARE,
        "running" | "waiting" | "queued" | "intended" => BUSY,
        _ => DIM,
    }
}

/// Rows under a header.
pub(super) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    pub(super) fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text, in colours when data is coloured.
    pub(super) fn render(&self, output: &Output) -> String {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        grid.set_header(&self.header);
        for row in &self.rows {
            grid.add_row(row.iter().map(|cell| {
                let side = if cell.is_number { CellAlignment::Right } else { CellAlignment::Left };
                comfy_table::Cell::new(&cell.text).set_alignment(side)
            }));
        }
        let numbers = |at: usize| self.rows.iter().any(|row| row.get(at).is_some_and(|cell| cell.is_number));
        for (at, column) in grid.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if numbers(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<String> = grid.lines().map(|line| line.trim_end().to_owned()).collect();
        let mut lines = lines.into_iter();
        let header = lines.next().map(|line| output.paint(DIM, &line));
        let rows = lines.zip(&self.rows).map(|(line, row)| colored(&line, row, output));
        header.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

/// Paints the cells of a line. They stand in it in order, with nothing but spaces between.
fn colored(line: &str, row: &[Cell], output: &Output) -> String {
    if !output.is_colored() {
        return line.to_owned();
    }
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    for cell in row.iter().filter(|cell| !cell.text.is_empty()) {
        let Some((before, after)) = rest.split_once(cell.text.as_str()) else { break };
        text.push_str(before);
        text.push_str(&cell.style.map_or(cell.text.clone(), |style| output.paint(style, &cell.text)));
        rest = after;
    }
    text + rest
}
