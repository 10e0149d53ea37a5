// Uploads a file through dropslip, with OkHttp 4 or 5 and org.json, which Android has:
//     val file = Dropslip("https://files.example.com", token).upload(File(path))
// It blocks: call it from Dispatchers.IO or from a Worker.
import java.io.File
import java.io.IOException
import java.util.UUID
import java.util.concurrent.TimeUnit
import okhttp3.MediaType
import okhttp3.MultipartBody
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody
import okhttp3.Response
import okio.BufferedSink
import org.json.JSONException
import org.json.JSONObject

/** The broker or the store said no; the same request would be refused again. */
class Refused(val status: Int, said: String) : IOException("$status: $said")

class Dropslip(private val server: String, private val token: String) {
    private val broker = OkHttpClient.Builder()
        .followRedirects(false)
        .connectTimeout(10, TimeUnit.SECONDS)
        .readTimeout(30, TimeUnit.SECONDS)
        .build()
    // Sealing a large file is a copy inside the store, so step 3 may take minutes.
    private val confirming = broker.newBuilder().readTimeout(330, TimeUnit.SECONDS).build()
    // A client of its own: no interceptor or authenticator of yours may add the token to what goes to the store.
    private val store = broker.newBuilder().readTimeout(60, TimeUnit.SECONDS).writeTimeout(60, TimeUnit.SECONDS).build()

    /** All three steps; gives the active file. */
    fun upload(file: File, type: String = "attachment", disposition: String = "attachment"): JSONObject {
        val wish = JSONObject().put("type", type).put("filename", file.name).put("mimeType", "")
            .put("size", file.length()).put("disposition", disposition)
        // The key makes a repeated step 1 answer the same file.
        var slip = ask("POST", "/v2/files/ref.json", wish, UUID.randomUUID().toString())
        val id = slip.getJSONObject("file").getLong("id")
        var attempt = 1
        while (true) {
            var answer: Answer? = null
            try {
                answer = send(slip, file)
            } catch (refused: Refused) {
                throw refused
            } catch (lost: IOException) {
                if (attempt == TRIES) throw lost
            }
            // 412: an earlier try of this PUT did arrive.
            val arrived = answer != null &&
                (answer.status in listOf(200, 201, 204) || answer.status == 412 && slip.optString("method") == "PUT")
            if (arrived) {
                try {
                    return ask("PATCH", "/v2/files/$id.json", client = confirming).getJSONObject("file")
                } catch (refused: Refused) {
                    if (refused.status != 409 || attempt == TRIES) throw refused // 409: nothing there yet
                }
            } else if (answer != null) {
                val expired = answer.status == 403
                if (attempt == TRIES || !(expired || answer.status in PASSING || answer.status == 409)) {
                    throw Refused(answer.status, answer.text.take(2000))
                }
                if (expired) slip = ask("POST", "/v2/files/$id/ref.json")
            }
            pause(attempt, answer)
            attempt++
        }
    }

    /** Steps 1 and 3: JSON, with the token. */
    private fun ask(method: String, path: String, wish: JSONObject? = null, key: String? = null, client: OkHttpClient = broker): JSONObject {
        val request = Request.Builder().url(server.trimEnd('/') + path)
            .method(method, Bytes((wish?.toString() ?: "").toByteArray()))
            .header("Authorization", "Bearer $token")
            .header("Content-Type", "application/json")
        if (key != null) request.header("Idempotency-Key", key)
        var attempt = 1
        while (true) {
            var answer: Answer? = null
            try {
                answer = client.newCall(request.build()).execute().use(::Answer)
            } catch (lost: IOException) {
                if (attempt == TRIES) throw lost
            }
            if (answer != null && (answer.status !in PASSING || attempt == TRIES)) return answer.asJson()
            pause(attempt, answer)
            attempt++
        }
    }

    /** Step 2: as the slip says, without the token. OkHttp reads the file while it sends it. */
    private fun send(slip: JSONObject, file: File): Answer {
        val request = Request.Builder().url(slip.getString("url"))
        when (val method = slip.optString("method", "POST")) {
            "POST" -> {
                val form = MultipartBody.Builder().setType(MultipartBody.FORM)
                val params = slip.getJSONObject("params")
                for (name in params.keys()) form.addFormDataPart(name, params.getString(name))
                form.addFormDataPart("file", "file", FromDisk(file)) // last: stores ignore what comes after it
                request.post(form.build())
            }
            "PUT" -> {
                val headers = slip.getJSONObject("headers")
                for (name in headers.keys()) request.header(name, headers.getString(name))
                request.put(FromDisk(file))
            }
            else -> throw Refused(0, "this class sends a file in one request, not by $method")
        }
        return store.newCall(request.build()).execute().use(::Answer)
    }

    private fun pause(attempt: Int, answer: Answer?) {
        val seconds = answer?.retryAfter?.toLongOrNull() ?: attempt.toLong()
        Thread.sleep(1000 * seconds.coerceIn(0, 60))
    }

    private class Answer(response: Response) {
        val status = response.code
        val retryAfter = response.header("Retry-After")
        val text = response.body?.string() ?: ""

        fun asJson(): JSONObject {
            val said = try {
                JSONObject(text)
            } catch (none: JSONException) {
                throw Refused(status, "the broker's answer is no JSON")
            }
            if (status == 200 || status == 201) return said
            val errors = said.getJSONObject("errors")
            val complaints = errors.keys().asSequence().map { field ->
                val why = errors.getJSONArray(field)
                (0 until why.length()).joinToString(", ", "$field ") { why.getString(it) }
            }
            throw Refused(status, complaints.joinToString("; "))
        }
    }

    // Bodies without a type of their own: the headers that are set above go out unchanged.
    private class Bytes(private val bytes: ByteArray) : RequestBody() {
        override fun contentType(): MediaType? = null
        override fun contentLength() = bytes.size.toLong()
        override fun writeTo(sink: BufferedSink) {
            sink.write(bytes)
        }
    }

    private class FromDisk(private val file: File) : RequestBody() {
        override fun contentType(): MediaType? = null
        override fun contentLength() = file.length()
        override fun writeTo(sink: BufferedSink) {
            file.inputStream().use { it.copyTo(sink.outputStream()) }
        }
    }

    private companion object {
        const val TRIES = 4
        val PASSING = listOf(408, 429, 500, 502, 503, 504)
    }
}
