using System.Diagnostics;
using SnapshotFlow.Stack;
using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Tests.Integration;

/// <summary>Whatever ends <c>up</c> or <c>demo</c>, none of the processes that it started is left.</summary>
public sealed class EndingTheStack : IDisposable
{
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(90);
    private static readonly TimeSpan EndDeadline = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo state = Directory.CreateTempSubdirectory("snapshotflow-test-");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => state.Delete(recursive: true);

    [Theory]
    [InlineData("up", "INT")]
    [InlineData("up", "TERM")]
    [InlineData("up", "KILL")]
    [InlineData("demo", "INT")]
    public async Task Nothing_is_left_after_a_signal(string command, string signal)
    {
        using var stack = Start(command);
        var children = await WaitForChildrenAsync(stack);

        await StackProgram.SignalAsync(stack, signal, Ct);

        await EndsAsync(stack);
        await Wait.UntilAsync($"{string.Join(", ", children)} to be gone", EndDeadline, _ => Task.FromResult(!children.Any(c => c.IsAlive())), Ct);
    }

    [Fact]
    public async Task Down_ends_what_up_started_and_a_second_up_says_where_the_first_one_is()
    {
        using var first = Start("up");
        var children = await WaitForChildrenAsync(first);
        await Wait.ForAsync("up to be ready", StartDeadline, _ => Task.FromResult(StackState.FindRunning(state.FullName)), Ct);

        using var second = Start("up");
        var said = await second.StandardError.ReadToEndAsync(Ct);
        await EndsAsync(second);
        using var down = Start("down");
        await EndsAsync(down);

        Assert.Equal(1, second.ExitCode);
        Assert.Contains($"process {first.Id}", said, StringComparison.Ordinal);
        Assert.Equal(0, down.ExitCode);
        await EndsAsync(first);
        Assert.DoesNotContain(children, c => c.IsAlive());
    }

    private Process Start(string command) => StackProgram.Start([command, "--state", state.FullName]);

    /// <summary>Waits until Temporal, API, workers and PostgreSQL are there, and returns everything below the process.</summary>
    private static Task<List<ProcessIdentity>> WaitForChildrenAsync(Process stack) => Wait.ForAsync($"the processes of {stack.Id}", StartDeadline, _ =>
    {
        Assert.False(stack.HasExited, "the stack ended before it was up");
        var all = Below(stack.Id);
        string[] programs = [.. all.Select(c => Name(c.Id))];
        return Task.FromResult(new[] { "postgres", "temporal-dev", "snapshotflow-ap", "snapshotflow-wo" }.All(programs.Contains) ? all : null);
    }, Ct);

    private static List<ProcessIdentity> Below(int parent)
    {
        var tree = Directory.EnumerateDirectories("/proc").Select(d => Path.GetFileName(d)!).Where(n => n.All(char.IsAsciiDigit)).Select(int.Parse)
            .Select(id => (Id: id, Parent: ParentOf(id))).ToList();
        List<int> found = [parent];
        for (var i = 0; i < found.Count; i++)
        {
            found.AddRange(tree.Where(p => p.Parent == found[i]).Select(p => p.Id));
        }
        return [.. found.Skip(1).Select(ProcessIdentity.Find).OfType<ProcessIdentity>()];
    }

    private static int ParentOf(int id) => Read($"/proc/{id}/status").Split('\n').FirstOrDefault(l => l.StartsWith("PPid:", StringComparison.Ordinal)) is { } line
        ? int.Parse(line[5..].Trim(), System.Globalization.CultureInfo.InvariantCulture)
        : 0;

    // The kernel keeps 15 characters of a program's name.
    private static string Name(int id) => Read($"/proc/{id}/comm").Trim();

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            // It ended while we looked.
            return "";
        }
    }

    [Fact]
    public async Task A_directory_with_foreign_files_is_refused_and_left_alone()
    {
        var letter = Path.Combine(state.FullName, "letter.txt");
        await File.WriteAllTextAsync(letter, "dear", Ct);

        using var demo = Start("demo");
        var said = await demo.StandardError.ReadToEndAsync(Ct);
        await EndsAsync(demo);

        Assert.Equal(1, demo.ExitCode);
        Assert.Contains("--state", said, StringComparison.Ordinal);
        Assert.Equal("dear", await File.ReadAllTextAsync(letter, Ct));
    }

    private static async Task EndsAsync(Process process)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        patience.CancelAfter(EndDeadline);
        await process.WaitForExitAsync(patience.Token);
    }
}
