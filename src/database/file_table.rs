//! What is made of the list of the columns of `files`, which stands in `file_row`.

/// How a column of a new record comes by its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// It is bound, as this type of Postgres.
    Bound(&'static str),
    /// It is the same in all new records: this SQL.
    Fixed(&'static str),
    /// It is that of another column, which Postgres need not have it twice.
    Like(&'static str),
}

/// A column that a new record is written with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inserted {
    pub(super) column: &'static str,
    pub(super) value: Value,
}

/// From the list of columns: what a statement asks for, the row that it answers, and what a new record is written with.
macro_rules! files_table {
    (|$file:ident| $key:ident: $key_kind:ty, $($column:ident $(: $kind:ty)? $(= $how:ident($($value:tt)*))?),+ $(,)?) => {
        /// What a statement asks for that reads a [`FileRow`].
        pub(super) const COLUMNS: &str = concat!(stringify!($key) $($(, ", ", files_table!(@name $column: $kind))?)+);

        /// A row as both engines answer it. By place and not by name, which a page of a list would look up some 1600 times; SQLite
        /// also answers rows as JSON arrays.
        #[derive(serde::Deserialize)]
        pub(super) struct FileRow {
            $key: $key_kind,
            $($($column: $kind,)?)+
        }

        impl<'r, R: sqlx::Row> sqlx::FromRow<'r, R> for FileRow
        where
            usize: sqlx::ColumnIndex<R>,
            $key_kind: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
            $($($kind: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,)?)+
        {
            fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
                let mut place = 0..;
                let mut next = || place.next().unwrap_or_default();
                Ok(Self { $key: row.try_get(next())?, $($($column: files_table!(@get row, next, $kind),)?)+ })
            }
        }

        /// The columns that a new record is written with; the others are empty, or for the database to fill.
        pub(super) const INSERTED: &[Inserted] =
            &[$($(Inserted { column: stringify!($column), value: files_table!(@value $how($($value)*)) },)?)+];

        /// SQLite: binds a new record, one value after the other.
        pub(super) fn bind_row<'q>(query: Query<'q, Sqlite, SqliteArguments>, $file: &'q File) -> Query<'q, Sqlite, SqliteArguments> {
            $($(let query = files_table!(@row query, $how($($value)*));)?)+
            query
        }

        /// Postgres: binds new records, one array a column.
        pub(super) fn bind_arrays<'q, Q, F: Iterator<Item = &'q File>>(
            query: QueryAs<'q, Postgres, Q, PgArguments>,
            files: impl Fn() -> F,
        ) -> QueryAs<'q, Postgres, Q, PgArguments> {
            $($(let query = files_table!(@array query, files, $file, $how($($value)*));)?)+
            query
        }
    };
    (@name $column:ident: $kind:ty) => {
        stringify!($column)
    };
    (@get $row:ident, $next:ident, $kind:ty) => {
        $row.try_get($next())?
    };
    (@value fixed($text:literal)) => {
        Value::Fixed($text)
    };
    (@value like($other:ident, $($value:tt)*)) => {
        Value::Like(stringify!($other))
    };
    (@value $kind:ident($($value:tt)*)) => {
        Value::Bound(stringify!($kind))
    };
    (@row $query:ident, fixed($($text:tt)*)) => {
        $query
    };
    (@row $query:ident, like($other:ident, $value:expr)) => {
        $query.bind($value)
    };
    (@row $query:ident, $kind:ident($value:expr)) => {
        $query.bind($value)
    };
    (@array $query:ident, $files:ident, $file:ident, fixed($($text:tt)*)) => {
        $query
    };
    (@array $query:ident, $files:ident, $file:ident, like($($other:tt)*)) => {
        $query
    };
    (@array $query:ident, $files:ident, $file:ident, $kind:ident($value:expr)) => {
        $query.bind($files().map(|$file| $value).collect::<Vec<_>>())
    };
}
pub(super) use files_table;
