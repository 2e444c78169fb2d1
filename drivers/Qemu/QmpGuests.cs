using System.Net.Sockets;
using System.Text.Json;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qemu;

/// <summary>QEMU or qemu-img failed; which volume it was about is added where the call ends.</summary>
internal sealed class QemuException(ErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public ErrorKind Kind { get; } = kind;
}

/// <summary>A volume that a running guest has open.</summary>
/// <param name="Socket">The guest's QMP socket.</param>
/// <param name="Node">The volume's name in that QEMU.</param>
/// <param name="Snapshots">The names of the snapshots inside the volume.</param>
internal sealed record QmpVolume(string Socket, string Node, IReadOnlyList<string> Snapshots);

/// <summary>
/// The running guests of this host. Which of them has a volume open is asked at each call: servers come and go. A guest whose monitor does not answer in time is
/// passed over; that it holds a volume shows when qemu-img cannot have its lock.
/// </summary>
internal sealed class QmpGuests(QemuOptions options, TimeProvider time)
{
    /// <summary>Looks for volumes.</summary>
    /// <param name="volumes">Path of each volume's file.</param>
    /// <param name="ct">Ends the call.</param>
    /// <returns>Those that a guest has open for writing.</returns>
    public async Task<IReadOnlyDictionary<VolumeId, QmpVolume>> FindAsync(IReadOnlyDictionary<VolumeId, string> volumes, CancellationToken ct)
    {
        var files = volumes.Select(v => (Volume: v.Key, Facts: Libc.Find(v.Value))).Where(v => v.Facts is not null).ToList();
        var found = await Task.WhenAll(Sockets().Select(async socket =>
        {
            try
            {
                return await AskAsync(socket, async (guest, deadline) =>
                {
                    var nodes = await guest.ExecuteAsync("query-named-block-nodes", null, deadline).ConfigureAwait(false);
                    return nodes.EnumerateArray().Where(IsVolume)
                        .Select(n => (Node: n, Facts: Libc.Find(n.GetProperty("file").GetString()!)))
                        .SelectMany(n => files.Where(f => n.Facts is { } facts && facts.IsSameFile(f.Facts!.Value)).Select(f => (f.Volume, Found: Describe(socket, n.Node)))).ToList();
                }, ct).ConfigureAwait(false);
            }
            catch (QemuException)
            {
                return [];
            }
        })).ConfigureAwait(false);
        return found.SelectMany(f => f).DistinctBy(f => f.Volume).ToDictionary(f => f.Volume, f => f.Found);
    }

    /// <summary>Holds one conversation within the time limit.</summary>
    /// <exception cref="QemuException"><see cref="ErrorKind.BackendUnavailable"/>: no answer, outcome unknown; <see cref="ErrorKind.BackendRefused"/>: QEMU said no.</exception>
    public async Task<T> AskAsync<T>(string socket, Func<QmpConnection, CancellationToken, Task<T>> ask, CancellationToken ct)
    {
        using var timer = new CancellationTokenSource(options.QmpTimeout, time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct, timer.Token);
        try
        {
            using var guest = await QmpConnection.OpenAsync(socket, deadline.Token).ConfigureAwait(false);
            return await ask(guest, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new QemuException(ErrorKind.BackendUnavailable,
                $"{socket}: no answer within {options.QmpTimeout.TotalSeconds:0.#} s; is QEMU alive, and is nobody else connected to this socket?", e);
        }
        catch (Exception e) when (e is SocketException or IOException or QmpProtocolException)
        {
            throw new QemuException(ErrorKind.BackendUnavailable, $"{socket}: {e.Message}; is the guest running?", e);
        }
        catch (QmpErrorException e)
        {
            throw new QemuException(ErrorKind.BackendRefused, $"{socket}: {e.Message}; see the guest's QEMU log", e);
        }
    }

    /// <summary>Cuts volumes of one guest at one instant: all of them or none.</summary>
    public Task CutAsync(string socket, IReadOnlyList<(string Node, string Snapshot)> cuts, CancellationToken ct) => AskAsync(socket, (guest, deadline) => guest.ExecuteAsync(
        "transaction",
        new { actions = cuts.Select(c => new { type = "blockdev-snapshot-internal-sync", data = new { device = c.Node, name = c.Snapshot } }).ToArray() },
        deadline), ct);

    /// <summary>Removes a snapshot from inside a volume.</summary>
    public Task RemoveAsync(QmpVolume volume, string snapshot, CancellationToken ct) =>
        AskAsync(volume.Socket, (guest, deadline) => guest.ExecuteAsync("blockdev-snapshot-delete-internal-sync", new { device = volume.Node, name = snapshot }, deadline), ct);

    private IEnumerable<string> Sockets() =>
        Directory.EnumerateFiles(options.QmpDirectory).Where(p => Libc.Find(p) is { IsSocket: true });

    private static bool IsVolume(JsonElement node) =>
        node.TryGetProperty("drv", out var format) && format.GetString() == "qcow2"
        && node.TryGetProperty("ro", out var readOnly) && readOnly.ValueKind == JsonValueKind.False
        && node.TryGetProperty("file", out var file) && file.GetString() is { } path && Path.IsPathFullyQualified(path);

    private static QmpVolume Describe(string socket, JsonElement node) => new(
        socket,
        node.GetProperty("node-name").GetString()!,
        node.TryGetProperty("image", out var image) && image.TryGetProperty("snapshots", out var snapshots)
            ? [.. snapshots.EnumerateArray().Select(s => s.GetProperty("name").GetString()!)]
            : []);
}
