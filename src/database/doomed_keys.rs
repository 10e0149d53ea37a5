//! The doomed list: keys to be deleted after a time, unless something claims them first.

/// Takes a key off the doomed list, unless a sweeper has taken it on: its object may be gone already.
pub(super) const CLAIM: &str = "DELETE FROM doomed_objects WHERE key = $1 AND leased_until IS NULL";

/// Puts what `$rows` yields on the doomed list. A key doomed twice keeps the later time, and the upload that may be open on it.
macro_rules! doom {
    ($rows:literal) => {
        concat!(
            "INSERT INTO doomed_objects (key, delete_after, upload_id) ",
            $rows,
            " ON CONFLICT (key) DO UPDATE SET upload_id = COALESCE(excluded.upload_id, doomed_objects.upload_id), delete_after = \
             CASE WHEN doomed_objects.delete_after < excluded.delete_after THEN excluded.delete_after ELSE doomed_objects.delete_after END"
        )
    };
}
pub(super) use doom;

pub(super) const DOOM: &str = doom!("VALUES ($1, $2, $3)");
