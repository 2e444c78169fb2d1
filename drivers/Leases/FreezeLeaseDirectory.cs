using System.Text.Json;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;
using IOFile = System.IO.File;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// The freeze leases of one compute host: a directory with one JSON file per server, <c>&lt;server id&gt;.json</c>. A lease is written to a temporary file,
/// flushed and renamed, so that a reader sees the old one or the new one and a power cut loses neither.
/// </summary>
public sealed class FreezeLeaseDirectory
{
    private readonly string directory;

    /// <summary>Opens the directory, creating it if needed.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/> when it cannot be written to.</exception>
    public FreezeLeaseDirectory(string directory)
    {
        this.directory = directory;
        try
        {
            Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"freeze leases cannot be kept in '{directory}': {e.Message}; set Compute:LeaseDirectory to a directory that can be written to", e);
        }
    }

    /// <summary>The lease of a server, open or ended; null when it has never had one.</summary>
    public async Task<FreezeLease?> ReadAsync(ServerId server, CancellationToken ct)
    {
        try
        {
            var bytes = await IOFile.ReadAllBytesAsync(PathOf(server), ct);
            return JsonSerializer.Deserialize<FreezeLease>(bytes);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Writes a lease; when the call returns it has reached the disk.</summary>
    public void Write(FreezeLease lease)
    {
        var path = PathOf(lease.Server);
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            JsonSerializer.Serialize(file, lease);
            file.Flush(flushToDisk: true);
        }

        IOFile.Move(temporary, path, overwrite: true);
        Libc.SyncDirectory(directory);
    }

    /// <summary>Every lease under which a guest may still be frozen.</summary>
    public async Task<IReadOnlyList<FreezeLease>> ReadOpenAsync(CancellationToken ct)
    {
        var open = new List<FreezeLease>();
        foreach (var file in Directory.EnumerateFiles(directory, "*.json").Order(StringComparer.Ordinal))
        {
            if (ServerId.TryParse(Path.GetFileNameWithoutExtension(file), null, out var server) && await ReadAsync(server, ct) is { IsOpen: true } lease)
            {
                open.Add(lease);
            }
        }

        return open;
    }

    private string PathOf(ServerId server) => Path.Combine(directory, $"{server}.json");
}
