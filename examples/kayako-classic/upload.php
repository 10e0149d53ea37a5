<?php
// upload.php FILE TICKET POST: attaches a file to a post of a ticket, in Kayako Classic's words.
[, $file, $ticket, $post] = $argv;
$url = (getenv('DROPSLIP_SERVER') ?: 'http://127.0.0.1:8080') . '/api/index.php?e=/Tickets/TicketAttachment';
$salt = (string) random_int(0, PHP_INT_MAX);
$body = http_build_query([
    'apikey' => getenv('CLASSIC_KEY'),
    'salt' => $salt,
    'signature' => base64_encode(hash_hmac('sha256', $salt, getenv('CLASSIC_SECRET'), true)),
    'ticketid' => $ticket,
    'ticketpostid' => $post,
    'filename' => basename($file),
    'contents' => base64_encode(file_get_contents($file)),
]);
$header = 'Content-Type: application/x-www-form-urlencoded';
$context = stream_context_create(['http' => ['method' => 'POST', 'header' => $header, 'content' => $body, 'ignore_errors' => true]]);
$answer = file_get_contents($url, false, $context);
if (!preg_match('~^HTTP/\S+ 200~', $http_response_header[0])) {
    fwrite(STDERR, "$http_response_header[0]\n$answer");
    exit(1);
}
$attachment = simplexml_load_string($answer)->attachment;
echo "$attachment->id $attachment->filename $attachment->filesize\n";
