using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Qga;

/// <summary>
/// The QEMU guest agent behind a unix socket (a <c>virtserialport</c> named <c>org.qemu.guest_agent.0</c> on a socket chardev of QEMU).
/// <para>Every call is a conversation of its own, because the socket serves one client at a time and others need it too: connect, get into step, ask,
/// close. That costs about 4 ms.</para>
/// </summary>
public sealed class QgaGuestAgent : IGuestAgent
{
    private const string Info = "guest-info", Status = "guest-fsfreeze-status", Freeze = "guest-fsfreeze-freeze", Thaw = "guest-fsfreeze-thaw";

    /// <summary>Longest path of a unix socket in bytes. Source: Linux, <c>sockaddr_un.sun_path</c>, 108 with its final zero.</summary>
    private const int MaxPathBytes = 107;

    private readonly string address;
    private readonly Func<CancellationToken, Task<IQgaChannel>> open;
    private readonly QgaOptions options;
    private readonly TimeProvider time;

    // Lives as long as the process, like the agent it stands for.
    private readonly SemaphoreSlim channel = new(1);

    /// <summary>The agent at a socket; nothing is connected yet.</summary>
    /// <param name="path">Absolute path of the socket.</param>
    /// <param name="options">Deadlines.</param>
    /// <param name="time">Measures deadlines and gives the instants in the answers.</param>
    /// <exception cref="SnapshotFlowException"><see cref="ErrorKind.InvalidRequest"/>: the path cannot be one of a socket.</exception>
    public QgaGuestAgent(string path, QgaOptions options, TimeProvider time)
    {
        if (!Path.IsPathFullyQualified(path) || path.Contains('\0', StringComparison.Ordinal) || Encoding.UTF8.GetByteCount(path) > MaxPathBytes)
        {
            throw new SnapshotFlowException(ErrorKind.InvalidRequest, $"'{path}' cannot be a guest agent's socket: it must be an absolute path of at most {MaxPathBytes} bytes");
        }

        address = path;
        open = async ct => await QgaChannel.OpenAsync(path, ct).ConfigureAwait(false);
        this.options = options;
        this.time = time;
    }

    /// <summary>The agent at the end of another way than a socket.</summary>
    /// <param name="address">What it is called in messages.</param>
    /// <param name="open">Begins a conversation.</param>
    /// <param name="options">Deadlines.</param>
    /// <param name="time">Measures deadlines and gives the instants in the answers.</param>
    internal QgaGuestAgent(string address, Func<CancellationToken, Task<IQgaChannel>> open, QgaOptions options, TimeProvider time)
    {
        this.address = address;
        this.open = open;
        this.options = options;
        this.time = time;
    }

    /// <inheritdoc/>
    public async Task<GuestProbe> ProbeAsync(CancellationToken ct)
    {
        string? version = null;
        try
        {
            return await TalkAsync("probe", options.CallTimeout, async (agent, deadline) =>
            {
                var info = await agent.CallAsync(Info, deadline).ConfigureAwait(false);
                version = QgaChannel.Text(info, "version") ?? "unknown";
                var enabled = Commands(info);
                if (new[] { Freeze, Thaw, Status }.FirstOrDefault(c => !enabled.ContainsKey(c)) is { } absent)
                {
                    return new(Answers: true, version, CanFreeze: false, Status: null, $"the agent {version} does not know {absent}");
                }

                var status = await StatusAsync(agent, deadline).ConfigureAwait(false);
                // A frozen guest's agent has the freeze itself disabled.
                var disabled = new[] { Freeze, Thaw, Status }.FirstOrDefault(c => !enabled[c] && !(c == Freeze && status == GuestFreezeStatus.Frozen));
                return new GuestProbe(Answers: true, version, disabled is null, status, disabled is null ? null : $"{disabled} is disabled in the agent's configuration");
            }, ct).ConfigureAwait(false);
        }
        catch (SnapshotFlowException e)
        {
            return new(Answers: version is not null, version, CanFreeze: false, Status: null, e.Message);
        }
    }

    /// <inheritdoc/>
    public Task<GuestFreeze> FreezeAsync(CancellationToken ct) => TalkAsync("freeze", options.FreezeTimeout, async (agent, deadline) =>
    {
        if (await StatusAsync(agent, deadline).ConfigureAwait(false) == GuestFreezeStatus.Frozen)
        {
            throw Failure(ErrorKind.StaleStatus, "freeze", "the guest is frozen already; thaw it first");
        }

        var count = Count(await agent.CallAsync(Freeze, deadline).ConfigureAwait(false), Freeze);
        var frozenAt = time.GetUtcNow();
        if (count == 0)
        {
            throw Failure(ErrorKind.BackendRefused, "freeze", "the agent froze 0 file systems; see which are mounted in the guest and what the agent's freeze hook does");
        }

        return await StatusAsync(agent, deadline).ConfigureAwait(false) == GuestFreezeStatus.Frozen
            ? new GuestFreeze(count, frozenAt)
            : throw Failure(ErrorKind.BackendRefused, "freeze", $"the agent froze {count} file systems but says right after it that the guest is thawed; something else thaws it");
    }, ct);

    /// <inheritdoc/>
    public Task<GuestThaw> ThawAsync(CancellationToken ct) => TalkAsync("thaw", options.CallTimeout, async (agent, deadline) =>
    {
        var before = await StatusAsync(agent, deadline).ConfigureAwait(false);
        // In any case: a thaw of a thawed guest does nothing, and the status is only what the agent remembers.
        var count = Count(await agent.CallAsync(Thaw, deadline).ConfigureAwait(false), Thaw);
        var thawedAt = time.GetUtcNow();
        return await StatusAsync(agent, deadline).ConfigureAwait(false) == GuestFreezeStatus.Thawed
            ? new GuestThaw(count, thawedAt, before == GuestFreezeStatus.Frozen)
            : throw Failure(ErrorKind.BackendRefused, "thaw", $"the agent thawed {count} file systems but says that the guest is still frozen; thaw again, or look into the guest");
    }, ct);

    /// <inheritdoc/>
    public Task<GuestFreezeStatus> StatusAsync(CancellationToken ct) => TalkAsync("status", options.CallTimeout, StatusAsync, ct);

    private static async Task<GuestFreezeStatus> StatusAsync(IQgaChannel agent, CancellationToken ct)
    {
        var status = await agent.CallAsync(Status, ct).ConfigureAwait(false);
        return status.ValueKind == JsonValueKind.String ? status.GetString() switch
        {
            "thawed" => GuestFreezeStatus.Thawed,
            "frozen" => GuestFreezeStatus.Frozen,
            var other => throw new QgaProtocolException($"{Status} was answered with '{other}'"),
        } : throw new QgaProtocolException($"{Status} was not answered with a text");
    }

    private static int Count(JsonElement result, string command) =>
        result.ValueKind == JsonValueKind.Number && result.TryGetInt32(out var count) && count >= 0 ? count
            : throw new QgaProtocolException($"{command} was not answered with a number of file systems");

    private static Dictionary<string, bool> Commands(JsonElement info)
    {
        var commands = new Dictionary<string, bool>(StringComparer.Ordinal);
        if (info.ValueKind == JsonValueKind.Object && info.TryGetProperty("supported_commands", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var command in list.EnumerateArray())
            {
                if (QgaChannel.Text(command, "name") is { } name)
                {
                    commands[name] = command.TryGetProperty("enabled", out var enabled) && enabled.ValueKind == JsonValueKind.True;
                }
            }
        }

        return commands;
    }

    /// <summary>Holds one conversation within a deadline and names what went wrong.</summary>
    private async Task<T> TalkAsync<T>(string what, TimeSpan timeout, Func<IQgaChannel, CancellationToken, Task<T>> talk, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        using var timer = new CancellationTokenSource(timeout, time);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct, timer.Token);
        var mine = false;
        try
        {
            await channel.WaitAsync(deadline.Token).ConfigureAwait(false);
            mine = true;
            using var agent = await open(deadline.Token).ConfigureAwait(false);
            return await talk(agent, deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw Failure(ErrorKind.BackendUnavailable, what,
                $"no answer within {timeout.TotalSeconds} s; is the agent running in the guest, and is nobody else connected to its socket?", e);
        }
        catch (QgaErrorException e)
        {
            throw Failure(ErrorKind.BackendRefused, what, e.Message, e);
        }
        catch (Exception e) when (e is SocketException or QgaProtocolException)
        {
            throw Failure(ErrorKind.BackendUnavailable, what, $"{e.Message}; is the guest running, and may the worker's user use the socket?", e);
        }
        finally
        {
            if (mine)
            {
                channel.Release();
            }
        }
    }

    private SnapshotFlowException Failure(ErrorKind kind, string what, string why, Exception? inner = null) =>
        new(kind, $"{what} through guest agent {address}: {why}", inner);
}
