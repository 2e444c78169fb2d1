using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Model;
using IOFile = System.IO.File;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// The freeze leases of one compute host, shared by its compute worker and its guards.
/// <code>
/// open/&lt;server id&gt;.json       the lease under which the guest may be frozen
/// ended/&lt;server id&gt;.json      the last one that is over: what a repeated question about it is answered from
/// unreadable/…                 files that were in open/ and are no leases, set aside once the guest was thawed
/// guard.json, guard.lock       sign of life and lock of the guard, see <see cref="GuardHeartbeat"/>
/// lock                         held while a lease is read, changed and written; never across a call to a guest agent
/// </code>
/// A lease is written to a temporary file, flushed and renamed, and the directory is flushed: a reader sees the old one or the new one, and a power cut loses
/// neither. An end is written in <c>open/</c> first and moved then: wherever it is found, it counts. Reading takes no lock, so no stopped process can keep a
/// guard from a thaw. Failures of the file system are <see cref="IOException"/>s.
/// </summary>
public sealed class FreezeLeaseDirectory
{
    // flock has no wait that can be cancelled, so a taken lock is asked for again; it is held for some milliseconds.
    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(5);

    // A process can be stopped while it holds the lock.
    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(5);

    private readonly string open;
    private readonly string ended;
    private readonly string unreadable;
    private readonly string lockFile;

    // Turns within this process; flock keeps other processes out.
    private readonly SemaphoreSlim turn = new(1);

    /// <summary>Opens the directory, creating it if needed.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/> when it cannot be written to.</exception>
    public FreezeLeaseDirectory(string directory)
    {
        Root = directory;
        open = Path.Combine(directory, "open");
        ended = Path.Combine(directory, "ended");
        unreadable = Path.Combine(directory, "unreadable");
        lockFile = Path.Combine(directory, "lock");
        try
        {
            foreach (var path in new[] { directory, open, ended, unreadable })
            {
                Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            Libc.Open(lockFile, Libc.Create | Libc.ReadWrite, 0x180 /* 0600 */).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ErrnoException)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"freeze leases cannot be kept in '{directory}': {e.Message}; set Compute:LeaseDirectory to a directory that can be written to", e);
        }
    }

    /// <summary>The directory itself.</summary>
    public string Root { get; }

    /// <summary>The lease under which a guest may be frozen; null when there is none.</summary>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.StaleStatus"/>: there is a file, but it is no lease.</exception>
    public FreezeLease? ReadOpen(ServerId server) => Read(Path.Combine(open, FileName(server))) is { IsOpen: true } lease ? lease : null;

    /// <summary>The last lease of a guest that is over; null when it never had one.</summary>
    public FreezeLease? ReadEnded(ServerId server)
    {
        // In this order: an end that is moved meanwhile is found in one place or the other.
        var atOpen = Read(Path.Combine(open, FileName(server)));
        return atOpen is { IsOpen: false } ? atOpen : Read(Path.Combine(ended, FileName(server)));
    }

    /// <summary>
    /// Reads, changes and writes the lease of a server while nobody else does; on return the change has reached the disk.
    /// </summary>
    /// <param name="server">The server.</param>
    /// <param name="change">Receives the open lease and the last ended one, either may be null, and returns what shall be: the very record it received for no
    /// change, null for nothing. An ended lease in return of an open one ends it. What it throws ends the call with nothing changed.</param>
    /// <param name="ct">Ends the wait for the lock, which fails with <see cref="IOException"/> after 5 s.</param>
    public async Task<FreezeLease?> UpdateAsync(ServerId server, Func<FreezeLease?, FreezeLease?, FreezeLease?> change, CancellationToken ct)
    {
        using var held = await LockAsync(ct).ConfigureAwait(false);
        var (openPath, endedPath) = (Path.Combine(open, FileName(server)), Path.Combine(ended, FileName(server)));
        if (Read(openPath) is { IsOpen: false })
        {
            Named(() => Libc.Rename(openPath, endedPath));
        }

        var (current, last) = (Read(openPath), Read(endedPath));
        var next = change(current, last);
        if (next is null || next == current || next == last)
        {
            return next;
        }

        if (current is null && !next.IsOpen)
        {
            Write(next, ended, endedPath);
            return next;
        }

        Write(next, open, openPath);
        if (!next.IsOpen)
        {
            Named(() => Libc.Rename(openPath, endedPath));
        }

        return next;
    }

    /// <summary>
    /// Ends a lease unless it is over already; returns it as it ended, by whomever. Null when there is no open lease of this token and the last one was not of
    /// this token either.
    /// </summary>
    public Task<FreezeLease?> EndAsync(ServerId server, string runToken, FreezeLeaseEnd end, CancellationToken ct) => UpdateAsync(
        server,
        (current, last) => current?.RunToken == runToken ? current with { FreezePending = false, End = end } : last?.RunToken == runToken ? last : null,
        ct);

    /// <summary>Everything in <c>open/</c> that is not over, leases and files that are none, by name.</summary>
    public IReadOnlyList<OpenLeaseFile> Scan() =>
        [.. Directory.EnumerateFiles(open, "*.json").Order(StringComparer.Ordinal).Select(path => Look(Path.GetFileName(path))).OfType<OpenLeaseFile>()];

    /// <summary>One file in <c>open/</c>, a lease or none; null when it is over or gone.</summary>
    public OpenLeaseFile? Look(string fileName)
    {
        try
        {
            var bytes = IOFile.ReadAllBytes(Path.Combine(open, fileName));
            var lease = Parse(bytes);
            return lease is { IsOpen: false } ? null : new(fileName, lease, lease?.AgentAddress ?? AddressIn(bytes));
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Moves a file that is no lease out of <c>open/</c>, so that the server can be frozen again and the file be looked at; returns where to.</summary>
    public async Task<string> SetAsideAsync(string fileName, HostInstant now, CancellationToken ct)
    {
        using var held = await LockAsync(ct).ConfigureAwait(false);
        var to = Path.Combine(unreadable, $"{Path.GetFileNameWithoutExtension(fileName)}.{now.Milliseconds}.json");
        IOFile.Move(Path.Combine(open, fileName), to, overwrite: true);
        return to;
    }

    /// <summary>
    /// Removes ended leases, and files that were none, that were last written before these times; how many. By then nobody asks about such an end any more:
    /// its run is long over.
    /// </summary>
    public async Task<int> PruneAsync(DateTimeOffset endedBefore, DateTimeOffset unreadableBefore, CancellationToken ct)
    {
        using var held = await LockAsync(ct).ConfigureAwait(false);
        var old = new DirectoryInfo(ended).EnumerateFiles("*.json").Where(f => f.LastWriteTimeUtc < endedBefore.UtcDateTime)
            .Concat(new DirectoryInfo(unreadable).EnumerateFiles().Where(f => f.LastWriteTimeUtc < unreadableBefore.UtcDateTime)).ToList();
        old.ForEach(f => f.Delete());
        return old.Count;
    }

    private static string FileName(ServerId server) => $"{server}.json";

    private static FreezeLease? Read(string path)
    {
        try
        {
            return Parse(IOFile.ReadAllBytes(path)) ?? throw new SnapshotFlowException(
                ErrorKind.StaleStatus, $"'{path}' is no freeze lease; see that the guest is thawed, then remove the file");
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private static FreezeLease? Parse(byte[] bytes)
    {
        try
        {
            return JsonSerializer.Deserialize<FreezeLease>(bytes) is { RunToken: not null, AgentAddress: not null, Deadline.Boot: not null } lease ? lease : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The agent's address in what is left of a lease; null when there is none.</summary>
    private static string? AddressIn(byte[] bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes, isFinalBlock: false, default);
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals(nameof(FreezeLease.AgentAddress)) && reader.Read())
                {
                    return reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            // The damage begins before the address.
        }

        return null;
    }

    private static void Write(FreezeLease lease, string directory, string path)
    {
        var temporary = path + ".new";
        using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            JsonSerializer.Serialize(file, lease);
            file.Flush(flushToDisk: true);
        }

        Named(() =>
        {
            Libc.Rename(temporary, path);
            Libc.SyncDirectory(directory);
        });
    }

    /// <summary>Calls the system and reports a failure as .NET does.</summary>
    private static void Named(Action call)
    {
        try
        {
            call();
        }
        catch (ErrnoException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    private async Task<IDisposable> LockAsync(CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(LockPatience);
        SafeFileHandle? file = null;
        var mine = false;
        try
        {
            await turn.WaitAsync(patience.Token).ConfigureAwait(false);
            mine = true;
            file = Libc.Open(lockFile, Libc.Create | Libc.ReadWrite, 0x180 /* 0600 */);
            while (!Libc.TryLock(file, exclusive: true, lockFile))
            {
                await Task.Delay(AskAgain, patience.Token).ConfigureAwait(false);
            }

            return new Held(file, turn);
        }
        catch (Exception e)
        {
            file?.Dispose();
            if (mine)
            {
                turn.Release();
            }

            throw e switch
            {
                OperationCanceledException when !ct.IsCancellationRequested => new IOException($"'{lockFile}' is held by another process for more than {LockPatience.TotalSeconds} s", e),
                ErrnoException => new IOException(e.Message, e),
                _ => e,
            };
        }
    }

    private sealed class Held(SafeFileHandle file, SemaphoreSlim turn) : IDisposable
    {
        public void Dispose()
        {
            file.Dispose();
            turn.Release();
        }
    }
}

/// <summary>A file under which a guest may be frozen.</summary>
/// <param name="Name">Its name in <c>open/</c>.</param>
/// <param name="Lease">What it says; null when it is no lease.</param>
/// <param name="AgentAddress">The agent's address, also from a file that is damaged behind it; null when it cannot be told.</param>
public sealed record OpenLeaseFile(string Name, FreezeLease? Lease, string? AgentAddress);
