using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>What qemu-img says of a volume.</summary>
/// <param name="SizeBytes">Its size as a guest sees it.</param>
/// <param name="Format">Format of the file.</param>
/// <param name="Snapshots">The names of the snapshots inside it.</param>
internal sealed record QemuImgInfo(long SizeBytes, string Format, IReadOnlyList<string> Snapshots);

/// <summary>The program qemu-img, for volumes that no guest has open. It takes QEMU's own locks, so it never changes a volume under a guest.</summary>
internal sealed class QemuImg(QemuOptions options, string section, TimeProvider time)
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(250);

    public Task<string> VersionAsync(CancellationToken ct) => RunAsync(["--version"], null, ct);

    public Task CreateAsync(string path, long sizeBytes, CancellationToken ct) => RunAsync(["create", "-q", "-f", "qcow2", path, sizeBytes.ToString(CultureInfo.InvariantCulture)], null, ct);

    public Task ResizeAsync(string path, long sizeBytes, CancellationToken ct) => RunAsync(["resize", "-q", "-f", "qcow2", path, sizeBytes.ToString(CultureInfo.InvariantCulture)], null, ct);

    /// <summary>Also of a volume that a guest has open: what is asked for here does not change under it.</summary>
    public async Task<QemuImgInfo> InfoAsync(string path, CancellationToken ct)
    {
        using var info = JsonDocument.Parse(await RunAsync(["info", "-U", "--output=json", path], null, ct).ConfigureAwait(false));
        var root = info.RootElement;
        return new(
            root.GetProperty("virtual-size").GetInt64(),
            root.GetProperty("format").GetString()!,
            root.TryGetProperty("snapshots", out var snapshots) ? [.. snapshots.EnumerateArray().Select(s => s.GetProperty("name").GetString()!)] : []);
    }

    public Task CutAsync(string path, string snapshot, CancellationToken ct) => RunAsync(["snapshot", "-q", "-c", snapshot, path], null, ct);

    public Task RemoveAsync(string path, string snapshot, CancellationToken ct) => RunAsync(["snapshot", "-q", "-d", snapshot, path], null, ct);

    public Task RevertAsync(string path, string snapshot, CancellationToken ct) => RunAsync(["snapshot", "-q", "-a", snapshot, path], null, ct);

    /// <summary>Copies a snapshot from inside a volume, which a guest may have open, into a file of its own.</summary>
    public Task CopyAsync(string from, string snapshot, string to, long sizeBytes, IProgress<DriverProgress>? progress, CancellationToken ct)
    {
        var (last, reported) = (-1L, 0L);
        return RunAsync(["convert", "-p", "-U", "-f", "qcow2", "-l", $"snapshot.name={snapshot}", "-O", "qcow2", from, to], text =>
        {
            // "    (12.34/100%)" over and over on one line.
            var at = text.LastIndexOf('(');
            var end = at < 0 ? -1 : text.IndexOf('/', at);
            if (progress is null || end < 0 || !double.TryParse(text.AsSpan(at + 1, end - at - 1), CultureInfo.InvariantCulture, out var percent))
            {
                return;
            }

            var done = Math.Clamp((long)(sizeBytes * percent / 100), 0, sizeBytes);
            if (done > last && done < sizeBytes && (reported == 0 || time.GetElapsedTime(reported) >= ReportEvery))
            {
                (last, reported) = (done, time.GetTimestamp());
                progress.Report(new(done, sizeBytes));
            }
        }, ct);
    }

    private async Task<string> RunAsync(IReadOnlyList<string> arguments, Action<string>? output, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        using var process = Start(arguments);
        var errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        try
        {
            var said = await ReadAsync(process.StandardOutput, output, ct).ConfigureAwait(false);
            await process.WaitForExitAsync(ct).ConfigureAwait(false);
            var error = (await errors.ConfigureAwait(false)).Trim();
            return process.ExitCode == 0 ? said : throw Refused(arguments, error.Length > 0 ? error : said.Trim());
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private Process Start(IReadOnlyList<string> arguments)
    {
        try
        {
            var start = new ProcessStartInfo(options.QemuImg, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
            start.Environment["LC_ALL"] = "C";
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"{section}:{nameof(options.QemuImg)}: {options.QemuImg} cannot be run: {e.Message}; apt-get install qemu-utils", e);
        }
    }

    private static async Task<string> ReadAsync(StreamReader from, Action<string>? output, CancellationToken ct)
    {
        var said = new System.Text.StringBuilder();
        var buffer = new char[4096];
        while (await from.ReadAsync(buffer, ct).ConfigureAwait(false) is > 0 and var count)
        {
            var text = new string(buffer, 0, count);
            if (output is null)
            {
                said.Append(text);
            }
            else
            {
                output(text);
            }
        }

        return said.ToString();
    }

    /// <summary>The one table from what qemu-img says to error kinds: it has no codes.</summary>
    private static QemuException Refused(IReadOnlyList<string> arguments, string said)
    {
        var (kind, advice) = said switch
        {
            _ when said.Contains("lock", StringComparison.Ordinal) =>
                (ErrorKind.Busy, $"a QEMU whose monitor is not in {nameof(QemuOptions.QmpDirectory)}, or does not answer, has the volume open; stop it, or give it a socket there"),
            _ when said.Contains("No space left", StringComparison.Ordinal) => (ErrorKind.BackendRefused, "free space on this file system or enlarge it"),
            _ when said.Contains("Disk quota exceeded", StringComparison.Ordinal) => (ErrorKind.BackendRefused, "the file system's quota for this user is used up; raise it or delete something"),
            _ when said.Contains("Permission denied", StringComparison.Ordinal) => (ErrorKind.BackendRefused, "give the worker's user read and write permission for this path"),
            _ when said.Contains("does not support", StringComparison.Ordinal) || said.Contains("not in qcow2 format", StringComparison.Ordinal) =>
                (ErrorKind.BackendRefused, "the volume is not in the format qcow2; convert it with qemu-img convert -O qcow2"),
            _ => (ErrorKind.BackendRefused, "check the volume with qemu-img check"),
        };
        return new(kind, $"qemu-img {arguments[0]}: {said}; {advice}");
    }
}
