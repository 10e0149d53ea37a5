//! Lists by any condition and in any order: a [`Selection`] as SQL.
//!
//! The text is put together from what stands in this file alone; whatever a client said is bound as a parameter. Both engines compare
//! and order texts by their bytes and instants by microseconds. Whether two names are the same is another matter: see `searching`.

use std::fmt::Write as _;

use sqlx::AssertSqlSafe;

use super::binding::{Bound, bind_all};
use super::search_name::SEARCHED;
use super::{Database, DatabaseError, Engine, Holding, on_pool};
use crate::domain::selection::{Comparison, Kind, Value};
use crate::domain::{Attribute, Condition, File, FileState, Order, Position, Reach, Selection, Start, TicketId, composed};

/// Whose files, and which of them.
#[derive(Debug, Clone, Copy)]
pub struct Selected<'a> {
    /// None beyond this.
    pub reach: Reach<'a>,
    /// Only those that are attached to this ticket.
    pub ticket: Option<TicketId>,
    /// Which of them.
    pub selection: &'a Selection,
}

impl Selected<'_> {
    /// Whether no more is looked at than so many files, however many there are: a ticket's, those with given numbers, or those that an index
    /// has in their order. Anything else is a search, which may look at each file of a tenant.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let Selection { order, ids, name_holds, condition } = self.selection;
        let everything = name_holds.is_none() && *condition == Condition::none() && self.reach.types.names().is_none();
        ids.is_some() || self.ticket.is_some() || (everything && matches!(order.by, Attribute::Id | Attribute::CreatedAt))
    }
}

impl Database {
    /// A page of files: at most `limit`. Whoever drops this stops the statement; `holding` is held until it has ended.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn select_files(
        &self,
        selected: &Selected<'_>,
        start: &Start,
        limit: u32,
        holding: &Holding,
    ) -> Result<Vec<File>, DatabaseError> {
        let order = selected.selection.order;
        // What every list asks first has a statement of its own, which does without a plan of ours.
        if is_plain(selected.selection, start) {
            let before = if let Start::After(position) = start { Some(position.id) } else { None };
            return self.newest_files(selected, before, limit, holding).await;
        }
        let mut statement = Statement::new(self.dialect());
        let states = selected.selection.states();
        let skip = match start {
            Start::Skip(files) => *files,
            Start::After(_) => 0,
        };
        let position = if let Start::After(position) = start { Some(position) } else { None };
        let mut branches = Vec::new();
        for state in &states {
            branches.push(statement.of_state(selected, *state, position));
        }
        let (limit, skip) = (statement.bind(Bound::Number(limit.into())), statement.bind(Bound::Number(skip.into())));
        let (ordered, filter) = (statement.dialect.ordered(order), statement.dialect.filter(selected));
        let which = match branches.as_slice() {
            [] => return Ok(Vec::new()),
            [one] => format!("{filter} {one} ORDER BY {ordered} LIMIT {limit} OFFSET {skip}"),
            // Each state has its own indexes, and a planner uses them for one state at a time.
            several => {
                let key = statement.dialect.column(order.by);
                let branch = |branch: &String| format!("SELECT id, {key} AS key FROM files {filter} {branch}");
                let several = several.iter().map(branch).collect::<Vec<_>>().join(" UNION ALL ");
                let inner = ordered_by("key", order);
                format!(
                    "WHERE id IN (SELECT id FROM ({several}) AS several ORDER BY {inner} LIMIT {limit} OFFSET {skip}) ORDER BY {ordered}"
                )
            }
        };
        self.files(&which, &statement.bound, Some(holding)).await
    }

    /// How many files are selected, counted up to `most`. The same about whoever drops it.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn count_files(&self, selected: &Selected<'_>, most: u32, holding: &Holding) -> Result<u32, DatabaseError> {
        let mut statement = Statement::new(self.dialect());
        let mut branches = Vec::new();
        for state in selected.selection.states() {
            let filter = statement.dialect.filter(selected);
            branches.push(format!("SELECT 1 FROM files {filter} {}", statement.of_state(selected, state, None)));
        }
        if branches.is_empty() {
            return Ok(0);
        }
        let most = statement.bind(Bound::Number(most.into()));
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM ({} LIMIT {most}) AS counted", branches.join(" UNION ALL ")));
        let bound = &statement.bound;
        let count: i64 = on_pool!(self, read holding, connection => bind_all!(sqlx::query_scalar(sql), bound).fetch_one(connection).await)?;
        u32::try_from(count).map_err(|_| DatabaseError::Broken(format!("{count} files were counted")))
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.engine {
            Engine::Sqlite { .. } => Dialect { bytes: "", position: "instr", is_sqlite: true },
            // Its own collations are those of a language, and so is what it takes for a small letter.
            Engine::Postgres(_) => Dialect { bytes: " COLLATE \"C\"", position: "strpos", is_sqlite: false },
        }
    }
}

/// Whether it is the list that is asked for most: active files, newest first, from the beginning or on from one.
fn is_plain(selection: &Selection, start: &Start) -> bool {
    matches!(start, Start::Skip(0) | Start::After(_)) && *selection == Selection::newest()
}

/// How an engine says what the other says otherwise.
#[derive(Clone, Copy)]
pub(super) struct Dialect {
    /// Behind a text that is compared or ordered by its bytes.
    bytes: &'static str,
    /// What tells where in a text another one stands; 0 for nowhere.
    position: &'static str,
    is_sqlite: bool,
}

impl Dialect {
    /// What a field is in the table.
    fn column(self, field: Attribute) -> String {
        let column = match field {
            Attribute::Id => "id",
            Attribute::Name => "name",
            Attribute::ContentType => "COALESCE(decided_type, granted_type)",
            Attribute::Size => "size",
            Attribute::Type => "type_name",
            Attribute::Disposition => "disposition",
            Attribute::State => "state",
            Attribute::PixelWidth => "pixel_width",
            Attribute::PixelHeight => "pixel_height",
            Attribute::CreatedAt => "created_at",
            Attribute::UpdatedAt => "updated_at",
            Attribute::DeletedAt => "deleted_at",
            Attribute::CreatedById => "created_by_id",
            Attribute::CreatedByType => "created_by_kind",
            Attribute::UpdatedById => "updated_by_id",
            Attribute::UpdatedByType => "updated_by_kind",
            Attribute::DeletedById => "deleted_by_id",
            Attribute::DeletedByType => "deleted_by_kind",
            Attribute::Customer => "CASE WHEN created_by_kind = 'customers' THEN created_by_id END",
            Attribute::CustomerType => "CASE WHEN created_by_kind = 'customers' THEN created_by_kind END",
        };
        match field.kind() {
            Kind::Text | Kind::Word => format!("{column}{}", self.bytes),
            Kind::Number | Kind::Instant => column.to_owned(),
        }
    }

    /// What begins a condition. A ticket has few files and a tenant many: planners shall look the few up by their numbers, and not
    /// walk through the many in some order.
    fn filter(self, selected: &Selected<'_>) -> &'static str {
        if self.is_sqlite && selected.ticket.is_some() { "NOT INDEXED WHERE" } else { "WHERE" }
    }

    /// That a file is on the ticket; the same for Postgres' planner.
    fn attached(self, tenant: &str, ticket: &str) -> String {
        let files = format!("(SELECT file_id FROM ticket_files WHERE tenant = {tenant} AND ticket_id = {ticket})");
        if self.is_sqlite { format!("id IN {files}") } else { format!("id = ANY(ARRAY{files})") }
    }

    pub(super) fn ordered(self, order: Order) -> String {
        match order {
            // As in the indexes, which have it so that no planner takes the primary key for this.
            Order { by: Attribute::Id, descending: true } => "-id".to_owned(),
            Order { by: Attribute::Id, descending: false } => "-id DESC".to_owned(),
            _ => ordered_by(&self.column(order.by), order),
        }
    }
}

fn ordered_by(column: &str, order: Order) -> String {
    let direction = if order.descending { "DESC" } else { "ASC" };
    // Each engine has its own idea of where they come. Not said where there are none: it keeps Postgres from using an index.
    let absent = match (order.by.may_be_absent(), order.descending) {
        (false, _) => "",
        (true, false) => " NULLS FIRST",
        (true, true) => " NULLS LAST",
    };
    format!("{column} {direction}{absent}, id {direction}")
}

/// A statement that grows, and what is bound to it.
pub(super) struct Statement<'a> {
    pub(super) dialect: Dialect,
    pub(super) bound: Vec<Bound<'a>>,
}

impl<'a> Statement<'a> {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, bound: Vec::new() }
    }

    /// The place of a value in the text.
    pub(super) fn bind(&mut self, value: Bound<'a>) -> String {
        self.bound.push(value);
        format!("${}", self.bound.len())
    }

    fn bind_value(&mut self, value: &'a Value) -> String {
        self.bind(match value {
            Value::Number(number) => Bound::Number(*number),
            Value::Text(text) => Bound::Text(text),
            Value::Instant(at) => Bound::Time(*at),
        })
    }

    /// That a file is the tenant's and in that state, and the place of the tenant in the text. The word of the state stands in it: only
    /// then do planners see that a partial index has every row.
    pub(super) fn in_state(&mut self, selected: &Selected<'a>, state: FileState) -> (String, String) {
        let tenant = self.bind(Bound::Text(selected.reach.tenant.as_str()));
        let text = format!("tenant = {tenant} AND state = '{}'", state.as_str());
        (text, tenant)
    }

    /// That a file was made by the one beyond whom the reader does not reach, if there is one.
    pub(super) fn of_maker(&mut self, selected: &Selected<'a>) -> String {
        let Some(maker) = selected.reach.maker else { return String::new() };
        let id = self.bind(Bound::Number(maker.id));
        format!(" AND created_by_kind = '{}' AND created_by_id = {id}", maker.kind.as_str())
    }

    /// That a file is of a type that the reader may see; nothing for all types.
    pub(super) fn of_types(&mut self, selected: &Selected<'a>) -> String {
        match selected.reach.types.names() {
            None => String::new(),
            // `IN ()` is no SQL to Postgres.
            Some([]) => " AND FALSE".to_owned(),
            Some(names) => {
                let names: Vec<String> = names.iter().map(|name| self.bind(Bound::Text(name))).collect();
                format!(" AND type_name IN ({})", names.join(", "))
            }
        }
    }

    /// That a file comes behind that one in a list by number. By -id, as in the index: see the migration.
    pub(super) fn behind(&mut self, id: i64, descending: bool) -> String {
        let id = self.bind(Bound::Number(id.saturating_neg()));
        format!("-id {} {id}", if descending { ">" } else { "<" })
    }

    /// What is true of the selected files in one state.
    fn of_state(&mut self, selected: &Selected<'a>, state: FileState, after: Option<&'a Position>) -> String {
        let selection = selected.selection;
        let (mut text, tenant) = self.in_state(selected, state);
        if let Some(ticket) = selected.ticket {
            let ticket = self.bind(Bound::Number(ticket.0));
            let _ = write!(text, " AND {}", self.dialect.attached(&tenant, &ticket));
        }
        text += &self.of_maker(selected);
        text += &self.of_types(selected);
        if let Some(ids) = &selection.ids {
            let ids: Vec<String> = ids.iter().map(|id| self.bind(Bound::Number(id.0))).collect();
            let _ = write!(text, " AND id IN ({})", ids.join(", "));
        }
        if let Some(part) = &selection.name_holds {
            let part = self.bind(Bound::Text(part));
            let Dialect { position, bytes, .. } = self.dialect;
            let _ = write!(text, " AND {position}(lower({SEARCHED}{bytes}), {part}) > 0");
        }
        if selection.condition != Condition::none() {
            let _ = write!(text, " AND {}", self.condition(&selection.condition));
        }
        if let Some(position) = after {
            let _ = write!(text, " AND {}", self.after(selection.order, position));
        }
        text
    }

    /// What is true of files behind that place.
    fn after(&mut self, order: Order, position: &'a Position) -> String {
        if order.by == Attribute::Id {
            return self.behind(position.id.0, order.descending);
        }
        let (column, sign) = (self.dialect.column(order.by), if order.descending { "<" } else { ">" });
        let id = self.bind(Bound::Number(position.id.0));
        match (&position.value, order.descending) {
            // Those without a value come first, or last.
            (None, false) => format!("({column} IS NOT NULL OR id > {id})"),
            (None, true) => format!("({column} IS NULL AND id < {id})"),
            (Some(value), descending) => {
                let value = self.bind_value(value);
                let behind = format!("({column}, id) {sign} ({value}, {id})");
                if descending && order.by.may_be_absent() { format!("({column} IS NULL OR {behind})") } else { behind }
            }
        }
    }

    fn condition(&mut self, condition: &'a Condition) -> String {
        match condition {
            Condition::All(inner) => self.joined(inner, " AND ", "1 = 1"),
            Condition::Any(inner) => self.joined(inner, " OR ", "1 = 0"),
            Condition::Compare(field, comparison, value) => {
                let sign = match comparison {
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                };
                format!("{} {sign} {}", self.dialect.column(*field), self.bind_value(value))
            }
            Condition::In(field, values) => self.among(*field, values),
            Condition::NotIn(field, values) => {
                let among = self.among(*field, values);
                format!("NOT ({among})")
            }
        }
    }

    fn joined(&mut self, inner: &'a [Condition], word: &str, none: &str) -> String {
        let texts: Vec<String> = inner.iter().map(|one| self.condition(one)).collect();
        if texts.is_empty() { none.to_owned() } else { format!("({})", texts.join(word)) }
    }

    fn among(&mut self, field: Attribute, values: &'a [Option<Value>]) -> String {
        let column = match field {
            Attribute::Name => format!("{SEARCHED}{}", self.dialect.bytes),
            _ => self.dialect.column(field),
        };
        let given: Vec<String> = values
            .iter()
            .flatten()
            .map(|value| match (field, value) {
                (Attribute::Name, Value::Text(name)) => self.bind(Bound::Made(composed(name))),
                _ => self.bind_value(value),
            })
            .collect();
        let among = match given.as_slice() {
            [] => "1 = 0".to_owned(),
            [one] => format!("{column} = {one}"),
            several => format!("{column} IN ({})", several.join(", ")),
        };
        // Never unknown: so it can be turned round.
        match (field.may_be_absent(), values.contains(&None)) {
            (false, _) => among,
            (true, true) => format!("({column} IS NULL OR ({column} IS NOT NULL AND {among}))"),
            (true, false) => format!("({column} IS NOT NULL AND {among})"),
        }
    }
}
