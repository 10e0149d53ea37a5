// Step 2 while the app sleeps. Steps 1 and 3 are small and stay in the app; see Dropslip.swift.
import Foundation

final class BackgroundUploads: NSObject, URLSessionDataDelegate {
    static let shared = BackgroundUploads()

    /// What the app does when an upload has ended: status 0 when no answer came.
    var ended: (_ fileID: Int64, _ status: Int, _ error: Error?) -> Void = { _, _, _ in }
    /// Keep here what application(_:handleEventsForBackgroundURLSession:completionHandler:) was given.
    var systemIsWaiting: (() -> Void)?

    private lazy var session: URLSession = {
        let configuration = URLSessionConfiguration.background(withIdentifier: "com.example.uploads")
        configuration.sessionSendsLaunchEvents = true
        return URLSession(configuration: configuration, delegate: self, delegateQueue: .main)
    }()

    /// Call it at every start of the app: it takes up what was under way.
    func resume() {
        _ = session
    }

    /// The system empties its folder for temporary files while the app sleeps, so forms wait here.
    private func folder() throws -> URL {
        try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    }

    /// Hands step 2 to the system. `file` must stay where it is until the upload has ended.
    func start(_ slip: Slip, _ file: URL) throws {
        let body = try Body(slip, file, folder: try folder())
        let task = session.uploadTask(with: body.request, fromFile: body.file)
        // The only thing about a task that outlives the app: whose upload it is, and what to remove after it.
        task.taskDescription = "\(slip.file.id) \(body.file.lastPathComponent)"
        task.resume()
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?) {
        guard let words = task.taskDescription?.split(separator: " ", maxSplits: 1), words.count == 2, let id = Int64(words[0]) else { return }
        if words[1].hasPrefix("dropslip-"), let form = try? folder().appendingPathComponent(String(words[1])) {
            try? FileManager.default.removeItem(at: form)
        }
        ended(id, (task.response as? HTTPURLResponse)?.statusCode ?? 0, error)
    }

    func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
        systemIsWaiting?()
        systemIsWaiting = nil
    }
}
