using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Model;
using Temporalio.Activities;

namespace SnapshotFlow.Workers.Failpoints;

/// <summary>Where in an activity a failpoint is.</summary>
internal enum FailpointPhase
{
    /// <summary>The attempt has begun and nothing of it is done.</summary>
    Before,

    /// <summary>Half done: a transaction is not committed, a snapshot's bytes have no name yet, the agent has answered and nobody has written it down.</summary>
    During,

    /// <summary>Everything is done, and Temporal does not know it.</summary>
    After,
}

/// <summary>What happens at a failpoint.</summary>
internal enum FailpointAction
{
    /// <summary>Nothing.</summary>
    Continue,

    /// <summary>The activity, or the half of it that is under way, fails with <see cref="FailpointAnswer.Kind"/>.</summary>
    Fail,

    /// <summary>The attempt gives no sign of life any more, and ends when it is cancelled.</summary>
    Hang,

    /// <summary><see cref="FailpointPhase.Before"/> only: everything is done twice, as after a delivery that was made twice.</summary>
    Repeat,
}

/// <summary>What a process says when it gets to a failpoint.</summary>
/// <param name="Process">Its id.</param>
/// <param name="Workflow">The run on whose behalf.</param>
/// <param name="Point">The activity.</param>
/// <param name="Phase">Where in it.</param>
/// <param name="Activity">Which of the run's activities: one id for all its attempts.</param>
/// <param name="Attempt">Which attempt, from 1.</param>
internal sealed record FailpointHit(int Process, string Workflow, string Point, FailpointPhase Phase, string Activity, int Attempt);

/// <summary>What it is told to do.</summary>
/// <param name="Action">What happens.</param>
/// <param name="Kind">With <see cref="FailpointAction.Fail"/>: the kind of failure.</param>
internal sealed record FailpointAnswer(FailpointAction Action, ErrorKind Kind = ErrorKind.BackendUnavailable);

/// <summary>
/// Boundaries at which a test holds this process, so that it can be killed, stopped or made to fail exactly there. At each the process connects to the test's
/// unix socket, writes one line of JSON (<see cref="FailpointHit"/>), and goes on as the one line that comes back says (<see cref="FailpointAnswer"/>); until then
/// it waits, and tells Temporal that it is alive. Only in development: see <see cref="WorkersOptions.FailpointSocket"/>.
/// </summary>
/// <param name="path">The test's socket.</param>
internal sealed class Failpoints(string path)
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(400);

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    /// <summary>Waits at a boundary of the current activity; outside of activities there are none. True: do it twice.</summary>
    public async Task<bool> PassAsync(FailpointPhase phase)
    {
        if (!ActivityExecutionContext.HasCurrent)
        {
            return false;
        }

        var context = ActivityExecutionContext.Current;
        var asking = AskAsync(Hit(context, phase), context.CancellationToken);
        while (await Task.WhenAny(asking, Task.Delay(Beat, context.CancellationToken)) != asking && !context.CancellationToken.IsCancellationRequested)
        {
            context.Heartbeat();
        }

        var answer = await asking;
        if (answer.Action is FailpointAction.Hang)
        {
            await Task.Delay(Timeout.Infinite, context.CancellationToken);
        }

        return Judge(answer, context, phase);
    }

    /// <summary>The same where the code cannot await.</summary>
    public void Pass(FailpointPhase phase)
    {
        if (!ActivityExecutionContext.HasCurrent)
        {
            return;
        }

        var context = ActivityExecutionContext.Current;
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        // A blocking read ends when its socket does.
        using var cancelled = context.CancellationToken.Register(socket.Dispose);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            using var stream = new NetworkStream(socket);
            stream.Write(Line(Hit(context, phase)));
            using var reader = new StreamReader(stream);
            var answer = Read(reader.ReadLine());
            if (answer.Action is FailpointAction.Hang)
            {
                context.CancellationToken.WaitHandle.WaitOne();
            }

            context.CancellationToken.ThrowIfCancellationRequested();
            Judge(answer, context, phase);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            context.CancellationToken.ThrowIfCancellationRequested();
            throw Lost(e);
        }
    }

    private async Task<FailpointAnswer> AskAsync(FailpointHit hit, CancellationToken ct)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), ct);
            await using var stream = new NetworkStream(socket);
            await stream.WriteAsync(Line(hit), ct);
            using var reader = new StreamReader(stream);
            return Read(await reader.ReadLineAsync(ct));
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw Lost(e);
        }
    }

    private static FailpointHit Hit(ActivityExecutionContext context, FailpointPhase phase) =>
        new(Environment.ProcessId, context.Info.WorkflowId ?? "", context.Info.ActivityType, phase, context.Info.ActivityId, context.Info.Attempt);

    private static byte[] Line(FailpointHit hit) => Encoding.UTF8.GetBytes(JsonSerializer.Serialize(hit, Format) + "\n");

    private static FailpointAnswer Read(string? line) =>
        line is null ? throw new IOException("the connection was closed") : JsonSerializer.Deserialize<FailpointAnswer>(line, Format) ?? throw new IOException("an empty answer");

    private static bool Judge(FailpointAnswer answer, ActivityExecutionContext context, FailpointPhase phase) => answer.Action is FailpointAction.Fail
        ? throw new SnapshotFlowException(answer.Kind, $"injected fault, {phase.ToString().ToLowerInvariant()} {context.Info.ActivityType}")
        : answer.Action is FailpointAction.Repeat;

    // Going on without the test would let it pass without having tested anything.
    private SnapshotFlowException Lost(Exception e) => new(ErrorKind.BackendUnavailable, $"failpoint socket {path}: {e.Message}", e);
}
