using System.Globalization;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Model;

namespace SnapshotFlow.Api.Dashboard.Live;

/// <summary>A part of a page that changes.</summary>
/// <param name="Id">The element's id.</param>
/// <param name="Html">What is in it now.</param>
internal sealed record Region(string Id, string Html);

/// <summary>A page at one moment.</summary>
/// <param name="Regions">Its parts.</param>
/// <param name="Last">Whether nothing will change any more.</param>
internal sealed record Frame(IReadOnlyList<Region> Regions, bool Last = false);

/// <summary>
/// Sends a page's parts as they change, as server-sent events named after them. Beside these: <c>clock</c>, the time here, against which countdowns run, and
/// <c>end</c>. A stream ends after a while by itself; the browser comes back, and has to show its session again.
/// </summary>
internal sealed class LiveStream(TimeProvider time, IHostApplicationLifetime process)
{
    /// <summary>Time between two looks.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan ComeBackAfter = TimeSpan.FromMilliseconds(500);

    public async IAsyncEnumerable<SseItem<string>> FollowAsync(Func<CancellationToken, Task<Frame>> look, [EnumeratorCancellation] CancellationToken ct = default)
    {
        // Whoever watches must not keep the process from stopping.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct, process.ApplicationStopping);
        using var timer = new PeriodicTimer(Interval, time);
        Dictionary<string, string> shown = [];
        var began = time.GetTimestamp();
        yield return new(time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture), "clock") { ReconnectionInterval = ComeBackAfter };
        do
        {
            if (await LookAsync(look, stop.Token) is not { } frame)
            {
                yield break;
            }

            foreach (var (id, html) in frame.Regions)
            {
                if (shown.GetValueOrDefault(id) != html)
                {
                    shown[id] = html;
                    yield return new(html, id);
                }
            }

            if (frame.Last)
            {
                yield return new("", "end");
                yield break;
            }
        }
        while (time.GetElapsedTime(began) < Longest && await NextAsync(timer, stop.Token));
    }

    /// <summary>Null when it is time to stop. What cannot be read now is said on the page, which keeps what it shows.</summary>
    private static async Task<Frame?> LookAsync(Func<CancellationToken, Task<Frame>> look, CancellationToken ct)
    {
        try
        {
            var frame = await look(ct);
            return frame with { Regions = [.. frame.Regions, new("trouble", "")] };
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return null;
        }
        catch (Exception e) when (e is Fault or SnapshotFlowException or OperationCanceledException)
        {
            var what = e is Fault { Status: < 500 } ? e.Message : "The records cannot be read right now; what is shown may be out of date.";
            return new([new("trouble", HtmlEncoder.Default.Encode(what))]);
        }
    }

    private static async Task<bool> NextAsync(PeriodicTimer timer, CancellationToken ct)
    {
        try
        {
            return await timer.WaitForNextTickAsync(ct);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
