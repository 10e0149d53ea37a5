<?php
// A client of Kayako Classic, as helpdesks that are written in PHP have it: what proves a POST stands last in its body, the controller in `e`
// or as a bare path, nothing but 200 is good, whatever stands before the XML is cut away, and SimpleXML reads the rest.
//
// kayako_classic.php URL APIKEY SECRET STYLE: test, post, list, get, delete. Prints what it saw as JSON; ends with 1 when something is wrong.
// STYLE is `e` or `bare`.

declare(strict_types=1);

set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    throw new ErrorException($message, 0, $level, $file, $line);
});

final class Refused extends Exception
{
}

final class Client
{
    public function __construct(
        private string $url,
        private string $key,
        private string $secret,
        private string $style,
    ) {
    }

    /** @return array<string, string> */
    private function credentials(): array
    {
        $salt = (string) mt_rand();
        return [
            'apikey' => $this->key,
            'salt' => $salt,
            'signature' => base64_encode(hash_hmac('sha256', $salt, $this->secret, true)),
        ];
    }

    /**
     * @param list<int|string> $words
     * @param array<string, int|string> $fields
     */
    private function ask(string $method, string $controller, array $words = [], array $fields = []): SimpleXMLElement
    {
        $path = $controller . implode('', array_map(static fn ($word) => '/' . $word, $words));
        $query = $this->style === 'bare' ? $path : 'e=' . $path;
        $http = ['method' => $method, 'ignore_errors' => true, 'timeout' => 60];
        if ($method === 'POST' || $method === 'PUT') {
            // First what is said, then what proves it.
            $http['content'] = http_build_query(array_merge($fields, $this->credentials()), '', '&');
            $http['header'] = "Content-Type: application/x-www-form-urlencoded\r\n";
        } else {
            $query .= '&' . http_build_query($this->credentials(), '', '&');
        }
        $body = file_get_contents($this->url . '?' . $query, false, stream_context_create(['http' => $http]));
        $status = (int) explode(' ', $http_response_header[0])[1];
        if ($status !== 200) {
            throw new Refused("$method $path: $status " . trim($body), $status);
        }
        $start = strpos($body, '<?xml');
        if ($start === false) {
            throw new Exception("$method $path: no XML in $body");
        }
        return new SimpleXMLElement(substr($body, $start));
    }

    public function test(): string
    {
        foreach (['GET', 'POST', 'PUT', 'DELETE'] as $method) {
            $said = trim((string) $this->ask($method, '/Core/TestAPI'));
        }
        return $said;
    }

    /** @return list<SimpleXMLElement> */
    private static function all(SimpleXMLElement $root): array
    {
        if ($root->getName() !== 'attachments') {
            throw new Exception('the root is ' . $root->getName());
        }
        return iterator_to_array($root->attachment, false);
    }

    public function post(int $ticket, int $post, string $name, string $bytes): SimpleXMLElement
    {
        $fields = ['ticketid' => $ticket, 'ticketpostid' => $post, 'filename' => $name, 'contents' => base64_encode($bytes)];
        [$one] = self::all($this->ask('POST', '/Tickets/TicketAttachment', [], $fields));
        return $one;
    }

    /** @return list<SimpleXMLElement> */
    public function list(int $ticket): array
    {
        return self::all($this->ask('GET', '/Tickets/TicketAttachment/ListAll', [$ticket]));
    }

    /** @return list<SimpleXMLElement> */
    public function ofPost(int $ticket, int $post): array
    {
        return self::all($this->ask('GET', '/Tickets/TicketPost/ListAll', [$ticket, $post]));
    }

    public function get(int $ticket, int $id): SimpleXMLElement
    {
        [$one] = self::all($this->ask('GET', '/Tickets/TicketAttachment', [$ticket, $id]));
        return $one;
    }

    public function delete(int $ticket, int $id): void
    {
        if (self::all($this->ask('DELETE', '/Tickets/TicketAttachment/', [$ticket, $id])) !== []) {
            throw new Exception('something is left');
        }
    }
}

function same(mixed $seen, mixed $expected, string $what): void
{
    if ($seen !== $expected) {
        throw new Exception("$what: " . var_export($seen, true) . ' and not ' . var_export($expected, true));
    }
}

/** Bytes of every value, with all that base64 has. */
function bytes(int $length): string
{
    $bytes = '';
    for ($i = 0; strlen($bytes) < $length; $i++) {
        $bytes .= hash('sha256', (string) $i, true);
    }
    return substr($bytes, 0, $length);
}

[, $url, $key, $secret, $style] = $argv;
$client = new Client($url, $key, $secret, $style);
$seen = ['test' => $client->test(), 'ids' => []];
$ticket = 4711;
same($client->list($ticket), [], 'nobody attached anything');
$files = ['a & b <c>.txt' => 'Hello', "na\u{ef}ve \u{20ac} \u{1f4ce}.bin" => bytes(70001), 'large.bin' => bytes(3000001)];
$names = array_keys($files);
foreach ($files as $name => $bytes) {
    $made = $client->post($ticket, 31, $name, $bytes);
    same((string) $made->filename, $name, 'the name');
    same((int) $made->filesize, strlen($bytes), 'the size');
    same([(int) $made->ticketid, (int) $made->ticketpostid], [$ticket, 31], 'where it is');
    same(isset($made->contents), false, 'contents of a new one');
    $seen['ids'][] = (int) $made->id;
}
same(array_map(static fn ($one) => (string) $one->filename, $client->list($ticket)), $names, 'the list');
foreach ($client->ofPost($ticket, 31) as $place => $one) {
    same(base64_decode((string) $one->contents, true) === $files[$names[$place]], true, 'bytes in the list of a post');
}
foreach ($seen['ids'] as $place => $id) {
    $one = $client->get($ticket, $id);
    same(base64_decode((string) $one->contents, true) === $files[$names[$place]], true, 'bytes');
    $client->delete($ticket, $id);
    try {
        $client->get($ticket, $id);
        throw new Exception('it is still there');
    } catch (Refused $refused) {
        same($refused->getCode(), 404, $refused->getMessage());
    }
}
same($client->list($ticket), [], 'all are gone');
foreach ([new Client($url, $key, $secret . 'x', $style), new Client($url, 'unknown', $secret, $style)] as $stranger) {
    foreach ([static fn () => $stranger->test(), static fn () => $stranger->post($ticket, 31, 'a.bin', bytes(2000000))] as $try) {
        try {
            $try();
            throw new Exception('a stranger got in');
        } catch (Refused $refused) {
            same($refused->getCode(), 401, $refused->getMessage());
        }
    }
}
try {
    $client->post($ticket, 31, 'setup.exe', 'MZ');
    throw new Exception('a program was taken');
} catch (Refused $refused) {
    same($refused->getCode(), 400, $refused->getMessage());
    $seen['refused'] = $refused->getMessage();
}
echo json_encode($seen, JSON_THROW_ON_ERROR), "\n";
