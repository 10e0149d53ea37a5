//! Deleting files and bringing them back.
//!
//! An active file becomes `deleted`: its record and its sealed object stay until a sweep purges both. A temp file is forgotten, as
//! nothing of it was ever promised.

use time::OffsetDateTime;

use super::{ATTEMPTS, Broker, BrokerError, allowed, seen_by, too_often};
use crate::database::Changed;
use crate::domain::{Caller, Complaints, Deletion, Field, File, FileId, FileState, Scope};
use crate::failpoint;

/// What deleting a file comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It was active and is deleted: it can be brought back.
    Deleted,
    /// It was temp and is gone.
    Forgotten,
    /// It was deleted before.
    AlreadyDeleted,
    /// There is none that the caller may reach.
    NotFound,
}

impl Removal {
    /// All of them, in the order of a file's life.
    pub const ALL: [Self; 4] = [Self::Deleted, Self::Forgotten, Self::AlreadyDeleted, Self::NotFound];
}

/// Whether something is done, or only answered what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It is done.
    Real,
    /// It is answered what would be done.
    Dry,
}

impl Broker {
    /// Deletes one file. Safe to repeat: what was deleted stays so, with the time and the person of the first time.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none, also when it was temp and is forgotten already.
    pub async fn delete(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<(), BrokerError> {
        allowed(caller, Scope::FilesDelete)?;
        let (removal, file) = self.remove(caller, id, now).await?;
        if removal == Removal::Forgotten {
            self.tidy_staging(&file).await;
        }
        Ok(())
    }

    /// Deletes some files, one after the other, and tells of each what came of it; a file that cannot be reached is no error.
    ///
    /// # Errors
    /// [`BrokerError::Changing`] when one changes each time it is looked at, or the database fails: those before it are deleted
    /// then, and asking again does the rest.
    pub async fn delete_all(
        &self,
        caller: &Caller,
        ids: &[FileId],
        execution: Execution,
        now: OffsetDateTime,
    ) -> Result<Vec<(FileId, Removal)>, BrokerError> {
        allowed(caller, Scope::FilesDelete)?;
        let mut removals = Vec::with_capacity(ids.len());
        for id in ids {
            let removed = match execution {
                Execution::Real => self.remove(caller, *id, now).await,
                Execution::Dry => self.find(caller, *id).await.map(|file| (removal(file.state()), file)),
            };
            match removed {
                // What was uploaded of forgotten ones is left to the sweeper: a hundred answers of a slow store take too long.
                Ok((removal, _)) => removals.push((*id, removal)),
                Err(BrokerError::NotFound) => removals.push((*id, Removal::NotFound)),
                Err(error) => return Err(error),
            }
        }
        Ok(removals)
    }

    /// Deletes a file that is active and that is the one which is meant; `false` when it is another. Of several at once exactly one does it.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none, or it is not active (any more).
    pub async fn delete_active(
        &self,
        caller: &Caller,
        id: FileId,
        is_meant: impl Fn(&File) -> bool + Send + Sync,
        now: OffsetDateTime,
    ) -> Result<bool, BrokerError> {
        allowed(caller, Scope::FilesDelete)?;
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            if file.state() != FileState::Active {
                return Err(BrokerError::NotFound);
            }
            if !is_meant(&file) {
                return Ok(false);
            }
            if self.put_away(caller, &file, now).await? {
                return Ok(true);
            }
        }
        Err(BrokerError::Changing)
    }

    /// Brings a deleted file back as it was. Safe to repeat: one that is active is answered.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is none (any more). [`BrokerError::Conflict`] for a temp file, which was never deleted.
    pub async fn restore(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<File, BrokerError> {
        allowed(caller, Scope::FilesDelete)?;
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            match file.state() {
                FileState::Deleted => {}
                FileState::Active => {
                    seen_by(caller, &file)?;
                    return Ok(file);
                }
                FileState::Temp => {
                    return Err(BrokerError::Conflict(Complaints::one(Field::State, "is temp: there is nothing to restore")));
                }
            }
            match self.database.restore_file(&file, caller.by(), now).await? {
                Changed::Done(file) => {
                    failpoint::reach("restore: recorded");
                    tracing::info!(file.id = %id, "file restored");
                    return Ok(*file);
                }
                Changed::TooOften(wait) => return Err(too_often(wait)),
                Changed::Outdated => {}
            }
        }
        Err(BrokerError::Changing)
    }

    /// Deletes one file in whatever state it is; answers what that came to, and the file as it was.
    async fn remove(&self, caller: &Caller, id: FileId, now: OffsetDateTime) -> Result<(Removal, File), BrokerError> {
        for _ in 0..ATTEMPTS {
            let file = self.find(caller, id).await?;
            let removed = match file.state() {
                FileState::Deleted => true,
                FileState::Temp => self.give_up(&file, Some(caller.origin()), now).await?,
                FileState::Active => self.put_away(caller, &file, now).await?,
            };
            if removed {
                return Ok((removal(file.state()), file));
            }
        }
        Err(BrokerError::Changing)
    }

    /// Deletes an active file; `false` when it has changed since it was looked at.
    async fn put_away(&self, caller: &Caller, file: &File, now: OffsetDateTime) -> Result<bool, BrokerError> {
        let deleted = self.database.delete_file(file, &Deletion { at: now, by: caller.actor }, caller.dialect).await?.is_some();
        if deleted {
            failpoint::reach("delete: recorded");
            tracing::info!(file.id = %file.id, "file deleted");
        }
        Ok(deleted)
    }
}

/// What deleting a file comes to that is in this state.
fn removal(state: FileState) -> Removal {
    match state {
        FileState::Temp => Removal::Forgotten,
        FileState::Active => Removal::Deleted,
        FileState::Deleted => Removal::AlreadyDeleted,
    }
}
