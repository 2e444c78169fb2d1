using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>
/// One expiry from end to end, with leases of its own and an agent that is only this class, before a guard allows the first freeze: what a thaw needs is
/// loaded, compiled and known to work when a guest depends on it. On a busy host the first thaw of a process takes up to seconds otherwise.
/// </summary>
public static partial class GuardRehearsal
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>Rehearses; a rehearsal that fails is logged and keeps no guard from its work. Takes some 0.3 s.</summary>
    public static async Task RunAsync(IHostClock clock, TimeProvider time, ILogger logger, CancellationToken ct)
    {
        string? directory = null;
        try
        {
            directory = Directory.CreateTempSubdirectory("snapshotflow-").FullName;
            await ExpireAsync(directory, clock, time, ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            Log.Failed(logger, e.Message);
        }
        finally
        {
            if (directory is not null)
            {
                Directory.Delete(directory, recursive: true);
            }
        }
    }

    private static async Task ExpireAsync(string directory, IHostClock clock, TimeProvider time, CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        stop.CancelAfter(Patience);
        var socket = Path.Combine(directory, "agent");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(socket));
        listener.Listen();
        var agent = AnswerLateAsync(listener, time, stop.Token);
        ProcessIdentity.Current.HasUnixConnection();

        var leases = new FreezeLeaseDirectory(Path.Combine(directory, "leases"));
        var server = ServerId.New();
        await leases.UpdateAsync(
            server,
            (_, _) => new(
                server, "rehearsal", $"qga:unix:{socket}", clock.UtcNow, clock.UtcNow, clock.Now.Plus(FreezeGuard.ScanInterval), ProcessIdentity.Current,
                FreezePending: false, FrozenAt: null, End: null),
            stop.Token).ConfigureAwait(false);
        var guard = new FreezeGuard(leases, new GuestAgents(new QgaOptions(), time), clock, time, GuardDuty.Guard, NullLogger<FreezeGuard>.Instance);
        var running = guard.RunAsync(() => { }, Task.CompletedTask, stop.Token);
        while (leases.ReadEnded(server) is null)
        {
            await Task.Delay(FreezeGuard.ScanInterval, time, stop.Token).ConfigureAwait(false);
        }

        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
        await agent.ConfigureAwait(false);
    }

    /// <summary>
    /// Answers as the agent of a frozen guest would, late enough for the guard to look what keeps it. Source: QEMU guest agent protocol reference.
    /// </summary>
    private static async Task AnswerLateAsync(Socket listener, TimeProvider time, CancellationToken ct)
    {
        const byte sentinel = 0xFF;
        var frozen = true;
        try
        {
            await Task.Delay(3 * FreezeGuard.ScanInterval, time, ct).ConfigureAwait(false);
            while (true)
            {
                using var client = await listener.AcceptAsync(ct).ConfigureAwait(false);
                using var stream = new NetworkStream(client);
                using var lines = new StreamReader(stream, Encoding.Latin1);
                while (await lines.ReadLineAsync(ct).ConfigureAwait(false) is { } line)
                {
                    var request = JsonSerializer.Deserialize<JsonElement>(line.TrimStart((char)sentinel));
                    string answer;
                    switch (request.GetProperty("execute").GetString())
                    {
                        case "guest-sync-delimited":
                            answer = $"{(char)sentinel}{{\"return\":{request.GetProperty("arguments").GetProperty("id")}}}";
                            break;
                        case "guest-fsfreeze-thaw":
                            frozen = false;
                            answer = "{\"return\":1}";
                            break;
                        default:
                            answer = frozen ? "{\"return\":\"frozen\"}" : "{\"return\":\"thawed\"}";
                            break;
                    }

                    await stream.WriteAsync(Encoding.Latin1.GetBytes(answer + "\n"), ct).ConfigureAwait(false);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The rehearsal is over.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(121, LogLevel.Warning, "The guard could not rehearse, so its first thaw may be slow: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
