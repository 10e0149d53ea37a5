// Uploads a file through dropslip, with Foundation alone (iOS 15, macOS 12 or newer):
//     let file = try await Dropslip(server: URL(string: "https://files.example.com")!, token: token).upload(fileURL)
import Foundation
#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// The broker or the store said no; the same request would be refused again.
struct Refused: LocalizedError {
    let status: Int
    let said: String
    var errorDescription: String? { "\(status): \(said)" }
}

struct UploadedFile: Decodable {
    let id: Int64
    let filename: String
    let mimeType: String
    let size: Int64
    let state: String
}

struct Slip: Decodable {
    let method: String?
    let url: URL?
    let params: [String: String]?
    let headers: [String: String]?
    let file: UploadedFile
}

private struct Complaints: Decodable {
    let errors: [String: [String]]
}

struct Dropslip {
    let server: URL
    let token: String
    var session = URLSession(configuration: Dropslip.configuration(), delegate: NoRedirects(), delegateQueue: nil)

    static let tries = 4
    static let passing: Set<Int> = [408, 429, 500, 502, 503, 504]

    /// Waits at most a minute for the next bytes of the other side. No cookies, nothing kept.
    static func configuration() -> URLSessionConfiguration {
        let configuration = URLSessionConfiguration.ephemeral
        configuration.timeoutIntervalForRequest = 60
        return configuration
    }

    /// All three steps; gives the active file.
    func upload(_ file: URL, type: String = "attachment", disposition: String = "attachment") async throws -> UploadedFile {
        var slip = try await authorize(file, type: type, disposition: disposition)
        var attempt = 1
        while true {
            var status = 0
            var text = ""
            var retryAfter: String?
            let body = try Body(slip, file)
            do {
                defer { body.remove() }
                let (data, response) = try await session.upload(for: body.request, fromFile: body.file)
                let answer = response as! HTTPURLResponse
                status = answer.statusCode
                text = String(decoding: data.prefix(2000), as: UTF8.self)
                retryAfter = answer.value(forHTTPHeaderField: "Retry-After")
            } catch let lost as URLError where lost.code != .cancelled && attempt < Dropslip.tries {
                // Status 0: worth another try.
            }
            if Dropslip.stored(status, slip) {
                do {
                    return try await confirm(slip.file.id)
                } catch let refused as Refused where refused.status == 409 && attempt < Dropslip.tries {
                    // Nothing there yet: send it again.
                }
            } else if status != 0 {
                let expired = status == 403
                guard attempt < Dropslip.tries, expired || status == 409 || Dropslip.passing.contains(status) else {
                    throw Refused(status: status, said: text)
                }
                if expired {
                    slip = try await ask("POST", "v2/files/\(slip.file.id)/ref.json")
                }
            }
            try await Dropslip.pause(attempt, retryAfter)
            attempt += 1
        }
    }

    /// Step 1. The key makes a repeated request answer the same file.
    func authorize(_ file: URL, type: String, disposition: String) async throws -> Slip {
        let size = try FileManager.default.attributesOfItem(atPath: file.path)[.size] as! NSNumber
        let wish: [String: Any] = [
            "type": type, "filename": file.lastPathComponent, "mimeType": "", "size": size, "disposition": disposition,
        ]
        return try await ask("POST", "v2/files/ref.json", wish: wish, key: UUID().uuidString)
    }

    /// Step 3, which can be repeated at will. Sealing a large file is a copy inside the store, so it may take minutes.
    func confirm(_ id: Int64) async throws -> UploadedFile {
        struct Answer: Decodable { let file: UploadedFile }
        let answer: Answer = try await ask("PATCH", "v2/files/\(id).json", seconds: 330)
        return answer.file
    }

    /// 412: an earlier try of this PUT did arrive.
    static func stored(_ status: Int, _ slip: Slip) -> Bool {
        [200, 201, 204].contains(status) || (status == 412 && slip.method == "PUT")
    }

    /// Steps 1 and 3: JSON, with the token.
    private func ask<Answer: Decodable>(
        _ method: String, _ path: String, wish: [String: Any]? = nil, key: String? = nil, seconds: TimeInterval = 30
    ) async throws -> Answer {
        var request = URLRequest(url: server.appendingPathComponent(path), timeoutInterval: seconds)
        request.httpMethod = method
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(key, forHTTPHeaderField: "Idempotency-Key")
        if let wish { request.httpBody = try JSONSerialization.data(withJSONObject: wish) }
        var attempt = 1
        while true {
            var retryAfter: String?
            do {
                let (data, response) = try await session.data(for: request)
                let answer = response as! HTTPURLResponse
                retryAfter = answer.value(forHTTPHeaderField: "Retry-After")
                if !Dropslip.passing.contains(answer.statusCode) || attempt == Dropslip.tries {
                    guard answer.statusCode == 200 || answer.statusCode == 201 else {
                        let errors = (try? JSONDecoder().decode(Complaints.self, from: data))?.errors ?? [:]
                        let said = errors.map { "\($0.key) \($0.value.joined(separator: ", "))" }.sorted().joined(separator: "; ")
                        throw Refused(status: answer.statusCode, said: said)
                    }
                    return try JSONDecoder().decode(Answer.self, from: data)
                }
            } catch let lost as URLError where lost.code != .cancelled && attempt < Dropslip.tries {
                // Worth another try.
            }
            try await Dropslip.pause(attempt, retryAfter)
            attempt += 1
        }
    }

    private static func pause(_ attempt: Int, _ retryAfter: String?) async throws {
        let seconds = min(max(retryAfter.flatMap { Int($0) } ?? attempt, 0), 60)
        try await Task.sleep(nanoseconds: UInt64(seconds) * 1_000_000_000)
    }
}

/// What step 2 sends: as the slip says, without the token, from a file. So URLSession reads it while it sends it, and a
/// background session, which takes nothing but files, can have it too.
struct Body {
    let request: URLRequest
    let file: URL
    private let isTemporary: Bool

    /// `folder` is where the form is written.
    init(_ slip: Slip, _ source: URL, folder: URL = FileManager.default.temporaryDirectory) throws {
        guard let url = slip.url else { throw Refused(status: 0, said: "this code sends a file in one request") }
        var request = URLRequest(url: url)
        if slip.method == "PUT" {
            request.httpMethod = "PUT"
            for (name, value) in slip.headers ?? [:] { request.setValue(value, forHTTPHeaderField: name) }
            file = source
            isTemporary = false
        } else {
            let boundary = UUID().uuidString
            request.httpMethod = "POST"
            request.setValue("multipart/form-data; boundary=\(boundary)", forHTTPHeaderField: "Content-Type")
            file = folder.appendingPathComponent("dropslip-\(boundary)")
            isTemporary = true
            try Body.write(slip.params ?? [:], source, boundary, to: file)
        }
        self.request = request
    }

    /// Call it when the request has ended.
    func remove() {
        if isTemporary { try? FileManager.default.removeItem(at: file) }
    }

    /// Writes the form to a file, a mebibyte at a time: all fields, then the source.
    private static func write(_ params: [String: String], _ source: URL, _ boundary: String, to form: URL) throws {
        guard FileManager.default.createFile(atPath: form.path, contents: nil) else { throw CocoaError(.fileWriteUnknown) }
        let output = try FileHandle(forWritingTo: form)
        defer { try? output.close() }
        let input = try FileHandle(forReadingFrom: source)
        defer { try? input.close() }
        let field = "--\(boundary)\r\nContent-Disposition: form-data; name="
        for (name, value) in params {
            try output.write(contentsOf: Data("\(field)\"\(name)\"\r\n\r\n\(value)\r\n".utf8))
        }
        let last = "\(field)\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        try output.write(contentsOf: Data(last.utf8))
        while let piece = try input.read(upToCount: 1 << 20), !piece.isEmpty {
            try output.write(contentsOf: piece)
        }
        try output.write(contentsOf: Data("\r\n--\(boundary)--\r\n".utf8))
    }
}

final class NoRedirects: NSObject, URLSessionTaskDelegate {
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}
