//! What each kind of caller is answered on each route. A route that is not here fails the test.

/// One line a route: method, path, the state of the file that is asked about (`-` for none), then a status for each caller.
///
/// | column | who asks | about whose file |
/// |---|---|---|
/// | `none` | nobody: no token | a user's |
/// | `bad` | a token that nobody made | a user's |
/// | `gone` | a token that was revoked | a user's |
/// | `read`, `write`, `del` | a user with that scope alone | his own |
/// | `user` | a user with every scope | another user's |
/// | `cust` | a customer with every scope | his own |
/// | `cust-c` | a customer with every scope | another customer's |
/// | `cust-u` | a customer with every scope | a user's |
/// | `alien` | a user of another tenant with every scope | a user's |
/// | `up` | an upload token in the place of a token | a user's |
/// | `ltd`, `ltd-x` | a user whose token is for the file's type alone, or for another one alone | another user's |
/// | `jwt`, `jwt-0`, `jwt-x` | a user with a JWT: with every scope, with none, signed by another key | another user's |
/// | `link`, `link-x` | no token, but the key of the file's link, or of a file of another tenant | a user's |
///
/// Below `/api/Tickets` and `/api/Core` calls are signed by the pair that goes with the token, which counts before the token itself; a JWT
/// has none.
/// Below `/u` the token is in the path: an upload token made from the one that the column names; `x` where there can be none.
/// An answer of 404, and each in the columns `cust-c`, `cust-u`, `alien` and `ltd-x`, is to the byte the one for a file that does not exist. An
/// upload by Companion's routes is nobody's but its maker's: colleagues may share a token without sharing uploads.
pub const TABLE: &str = "
method path                                                     state    none bad gone read write del user cust cust-c cust-u alien up  ltd ltd-x jwt jwt-0 jwt-x link link-x
GET    /healthz                                                 -        200  200 200  200  200   200 200  200  200    200    200   200 200 200   200 200   200   200  200
GET    /readyz                                                  -        200  200 200  200  200   200 200  200  200    200    200   200 200 200   200 200   200   200  200
GET    /openapi.json                                            -        200  200 200  200  200   200 200  200  200    200    200   200 200 200   200 200   200   200  200
POST   /notifications/s3                                        arrived  401  401 401  401  401   401 401  401  401    401    401   401 401 401   401 401   401   401  401

GET    /v2/file-types.json                                      -        401  401 401  200  200   200 200  200  200    200    200   401 200 200   200 200   401   401  401
GET    /v2/files.json                                           active   401  401 401  200  403   403 200  200  200    200    200   401 200 200   200 403   401   401  401
POST   /v2/files/ref.json                                       -        401  401 401  403  201   403 201  201  201    201    201   401 201 403   201 403   401   401  401
POST   /v2/files/{id}/ref.json                                  temp     401  401 401  403  201   403 201  201  404    404    404   401 201 404   201 403   401   401  401
GET    /v2/files/{id}.json                                      active   401  401 401  200  403   403 200  200  404    404    404   401 200 404   200 403   401   401  401
PATCH  /v2/files/{id}.json                                      arrived  401  401 401  403  200   403 200  200  404    404    404   401 200 404   200 403   401   401  401
PUT    /v2/files/{id}.json                                      arrived  401  401 401  403  200   403 200  200  404    404    404   401 200 404   200 403   401   401  401
DELETE /v2/files.json                                           active   401  401 401  403  403   200 200  200  200    200    200   401 200 200   200 403   401   401  401
POST   /v2/files/delete.json                                    active   401  401 401  403  403   200 200  200  200    200    200   401 200 200   200 403   401   401  401
DELETE /v2/files/{id}.json                                      active   401  401 401  403  403   204 204  204  404    404    404   401 204 404   204 403   401   401  401
POST   /v2/files/{id}/restore.json                              deleted  401  401 401  403  403   200 200  200  404    404    404   401 200 404   200 403   401   401  401
PUT    /v2/files/{id}/restore.json                              deleted  401  401 401  403  403   200 200  200  404    404    404   401 200 404   200 403   401   401  401
GET    /v2/files/{id}/parts.json                                parts    401  401 401  403  200   403 200  200  404    404    404   401 200 404   200 403   401   401  401
POST   /v2/files/{id}/parts.json                                parts    401  401 401  403  200   403 200  200  404    404    404   401 200 404   200 403   401   401  401
DELETE /v2/files/{id}/parts.json                                parts    401  401 401  403  204   403 204  204  404    404    404   401 204 404   204 403   401   401  401
GET    /v2/files/{id}/download                                  active   401  401 401  302  403   403 302  302  404    404    404   401 302 404   302 403   401   302  401
GET    /v2/tickets/{tid}/files.json                             attached 401  401 401  200  403   403 200  200  200    200    200   401 200 200   200 403   401   401  401
PUT    /v2/tickets/{tid}/files.json                             active   401  401 401  403  403   403 200  404  404    404    400   401 200 400   200 403   401   401  401
DELETE /v2/tickets/{tid}/files/{id}.json                        attached 401  401 401  403  204   403 204  404  404    404    404   401 204 404   204 403   401   401  401
GET    /v2/tickets/{tid}/files/{id}/download                    attached 401  401 401  302  403   403 302  302  404    404    404   401 302 404   302 403   401   401  401
GET    /v2/tickets/{tid}/files.zip                              attached 401  401 401  200  403   403 200  200  404    404    404   401 200 404   200 403   401   401  401

POST   /companion/tokens.json                                   -        401  401 401  403  201   403 201  201  201    201    201   401 201 403   201 403   401   401  401
GET    /companion/s3/params                                     -        401  401 401  403  200   403 200  200  200    200    200   401 200 400   200 403   401   401  401
POST   /companion/s3/confirm                                    arrived  401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401
POST   /companion/s3/multipart                                  -        401  401 401  403  200   403 200  200  200    200    200   401 200 400   200 403   401   401  401
GET    /companion/s3/multipart/{upload_id}                      parts    401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401
DELETE /companion/s3/multipart/{upload_id}                      parts    401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401
GET    /companion/s3/multipart/{upload_id}/{part_number}        parts    401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401
GET    /companion/s3/multipart/{upload_id}/batch                parts    401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401
POST   /companion/s3/multipart/{upload_id}/complete             uploaded 401  401 401  403  200   403 404  200  404    404    404   401 404 404   404 403   401   401  401

GET    /api/v1/me.json                                          -        401  401 401  200  200   200 200  200  200    200    200   401 200 200   200 200   401   401  401
GET    /api/v1/files.json                                       active   401  401 401  200  403   403 200  200  200    200    200   401 200 200   200 403   401   401  401
POST   /api/v1/files.json                                       -        401  401 401  403  201   403 201  201  201    201    201   401 201 403   201 403   401   401  401
POST   /api/v1/files/ref.json                                   -        401  401 401  403  201   403 201  201  201    201    201   401 201 403   201 403   401   401  401
PUT    /api/v1/files/{id}                                       arrived  401  401 401  403  200   403 200  200  404    404    404   401 200 404   200 403   401   401  401
GET    /api/v1/files/{id}                                       active   401  401 401  200  403   403 200  200  404    404    404   401 200 404   200 403   401   401  401
GET    /api/v1/files/{id}/content.json                          active   401  401 401  302  403   403 302  302  404    404    404   401 302 404   302 403   401   401  401
DELETE /api/v1/files.json                                       active   401  401 401  403  403   200 200  200  200    200    200   401 200 200   200 403   401   401  401
DELETE /api/v1/files/{id}                                       active   401  401 401  403  403   200 200  200  404    404    404   401 200 404   200 403   401   401  401

GET    /api/Tickets/TicketAttachment/ListAll/{ticketid}         attached 401  401 401  200  403   403 200  200  200    200    200   401 200 200   401 401   401   401  401
GET    /api/Tickets/TicketPost/ListAll/{ticketid}/{ticketpostid} attached 401 401 401  200  403   403 200  200  200    200    200   401 200 200   401 401   401   401  401
POST   /api/Tickets/TicketAttachment                            -        401  401 401  403  200   403 200  404  404    404    200   401 200 403   401 401   401   401  401
GET    /api/Tickets/TicketAttachment/{ticketid}/{id}            attached 401  401 401  200  403   403 200  200  404    404    404   401 200 404   401 401   401   401  401
DELETE /api/Tickets/TicketAttachment/{ticketid}/{id}            attached 401  401 401  403  403   200 200  404  404    404    404   401 200 404   401 401   401   401  401
GET    /api/Core/TestAPI                                        -        401  401 401  200  200   200 200  200  200    200    200   401 200 200   401 401   401   401  401

GET    /u/{upload_token}/s3/params                              -        401  401 401  x    200   x   200  200  200    200    200   x   200 400   200 x     x     x    x
POST   /u/{upload_token}/s3/confirm                             arrived  401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
POST   /u/{upload_token}/s3/multipart                           -        401  401 401  x    200   x   200  200  200    200    200   x   200 400   200 x     x     x    x
GET    /u/{upload_token}/s3/multipart/{upload_id}               parts    401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
DELETE /u/{upload_token}/s3/multipart/{upload_id}               parts    401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
GET    /u/{upload_token}/s3/multipart/{upload_id}/{part_number} parts    401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
GET    /u/{upload_token}/s3/multipart/{upload_id}/batch         parts    401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
POST   /u/{upload_token}/s3/multipart/{upload_id}/complete      uploaded 401  401 401  x    200   x   404  200  404    404    404   x   404 404   404 x     x     x    x
";

/// What a caller is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Status(u16),
    /// There is no such caller on this route.
    Nobody,
}

pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    pub state: &'static str,
    /// By the name of the column.
    pub cells: Vec<(&'static str, Cell)>,
}

pub fn rows() -> Vec<Row> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let columns: Vec<_> = lines.next().unwrap().skip(3).collect();
    let rows = lines.map(|mut words| {
        let (method, path, state) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let cell = |word: &str| if word == "x" { Cell::Nobody } else { Cell::Status(word.parse().unwrap()) };
        let cells: Vec<_> = columns.iter().copied().zip(words.map(cell)).collect();
        assert_eq!(cells.len(), columns.len(), "{method} {path}");
        Row { method, path, state, cells }
    });
    rows.collect()
}
