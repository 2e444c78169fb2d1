using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using SnapshotFlow.Tests.Faults.Matrix;

namespace SnapshotFlow.Tests.Faults.World;

/// <summary>A process says that it is at a boundary of a run.</summary>
public sealed record Hit(int Process, string Workflow, string Point, Phase Phase, string Activity, int Attempt)
{
    /// <summary>Where.</summary>
    public Boundary Boundary => new(Point, Phase);
}

/// <summary>What the process does then.</summary>
/// <param name="Action">Continue, Fail, Hang or Repeat.</param>
/// <param name="Kind">With Fail: the kind of failure.</param>
public sealed record HitAnswer(string Action, string Kind = "BackendUnavailable")
{
    /// <summary>Goes on.</summary>
    public static readonly HitAnswer Continue = new("Continue");
}

/// <summary>
/// The other end of the workers' failpoints: every process asks here, before, in and after every activity, how to go on, and waits for the answer. So a run is held
/// exactly where a case wants it, for as long as it takes, and nobody has to guess from outside how far it is.
/// </summary>
public sealed class FailpointServer : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { Converters = { new JsonStringEnumConverter() } };

    private readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource ending = new();
    private readonly ConcurrentDictionary<string, Func<Hit, CancellationToken, Task<HitAnswer>>> runs = new(StringComparer.Ordinal);
    private readonly Task accepting;

    /// <summary>Listens.</summary>
    /// <param name="path">Path of the socket.</param>
    public FailpointServer(string path)
    {
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(512);
        accepting = AcceptAsync();
    }

    /// <summary>Decides for one run from now on. Runs that nobody decides for just go on.</summary>
    /// <param name="workflow">Its workflow id.</param>
    /// <param name="decide">Is given a token that ends when the process that asks has gone.</param>
    public void Decide(string workflow, Func<Hit, CancellationToken, Task<HitAnswer>> decide) => runs[workflow] = decide;

    /// <summary>The run just goes on.</summary>
    public void Forget(string workflow) => runs.TryRemove(workflow, out _);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await ending.CancelAsync();
        listener.Dispose();
        await accepting;
        ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        List<Task> serving = [];
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(ending.Token);
                serving.RemoveAll(s => s.IsCompletedSuccessfully);
                serving.Add(ServeAsync(socket));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(ending.Token);
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        try
        {
            using var reader = new StreamReader(stream);
            if (await reader.ReadLineAsync(ending.Token) is not { } line)
            {
                return;
            }

            var hit = JsonSerializer.Deserialize<Hit>(line, Format)!;
            var watching = WatchAsync(reader, gone);
            var answer = runs.TryGetValue(hit.Workflow, out var decide) ? await decide(hit, gone.Token) : HitAnswer.Continue;
            await stream.WriteAsync((byte[])[.. JsonSerializer.SerializeToUtf8Bytes(answer, Format), (byte)'\n'], ending.Token);
            await watching;
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // The process was killed, or gave up its attempt.
        }
    }

    // Nothing more is ever said, so this ends when the other end has gone.
    private static async Task WatchAsync(StreamReader reader, CancellationTokenSource gone)
    {
        try
        {
            await reader.ReadLineAsync(gone.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // As good as its end.
        }

        await gone.CancelAsync();
    }
}
