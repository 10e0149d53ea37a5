// Runs the Kotlin guide's class as a program, and gives OkHttp 3, which Debian has, the names that OkHttp 4 renamed.
import java.io.File
import java.io.IOException
import kotlin.system.exitProcess
import okhttp3.Response
import okhttp3.ResponseBody

val Response.code: Int get() = code()
val Response.body: ResponseBody? get() = body()

fun main(arguments: Array<String>) {
    val server = System.getenv("DROPSLIP_SERVER")
    val token = System.getenv("DROPSLIP_TOKEN")
    try {
        println(Dropslip(server, token).upload(File(arguments[0])))
    } catch (failed: IOException) {
        System.err.println("${arguments[0]}: ${failed.message}")
        exitProcess(1)
    }
    exitProcess(0) // OkHttp's threads would keep the program for a while
}
