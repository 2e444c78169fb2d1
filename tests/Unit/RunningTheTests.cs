using System.Diagnostics;

namespace SnapshotFlow.Tests.Unit;

/// <summary>What <c>./snapshotflow test</c> and <c>ci</c> make of test programs that fail, hang or fail only once. The programs are scripts.</summary>
public sealed class RunningTheTests : IDisposable
{
    private const string Passes = """report 'passed="3" failed="0" skipped="1" errors="0"' '<test name="N.C.A" result="Pass" type="N.C" method="A" />'""";

    private const string FailsOnce = """
        if [[ " $* " == *" -method N.C.Shaky "* && " $* " != *"N.C.A"* ]]; then
          report 'passed="1" failed="0" skipped="0" errors="0"' '<test name="N.C.Shaky" result="Pass" type="N.C" method="Shaky" />'
        else
          report 'passed="3" failed="1" skipped="0" errors="0"' '<test name="N.C.A" result="Pass" type="N.C" method="A" /><test name="N.C.Shaky" result="Fail" time="1" type="N.C" method="Shaky"><failure><message>it shook</message></failure></test>'
          exit 1
        fi
        """;

    private const string Fails = """
        report 'passed="3" failed="1" skipped="0" errors="0"' '<test name="N.C.Broken" result="Fail" time="1" type="N.C" method="Broken"><failure><message>it is broken</message></failure></test>'
        exit 1
        """;

    private const string Hangs = """
        trap 'echo "Cancelling, N.C.Stuck was running"; exit 1' INT
        while true; do sleep 0.1; done
        """;

    private readonly string root = Directory.CreateTempSubdirectory("snapshotflow-script-").FullName;

    public RunningTheTests()
    {
        File.Copy(Path.Join(FollowingTheRunbook.Root, "snapshotflow"), Path.Join(root, "snapshotflow"));
        File.WriteAllText(Path.Join(root, "global.json"), "{}");
        // What builds: there is nothing to build.
        Script("path/dotnet", "echo 10.0.400");
        Script("artifacts/bin/SnapshotFlow.Stack/release/snapshotflow-stack", """
            echo '"status":"active","volumes":3 "consistency":"application" "witness":{"consistent":true,"disks":3}' > "$3"
            echo '"killed":"control-worker","image_status":"active","duplicate_snapshots":0,"witness_consistent":true' >> "$3"
            echo '"compensation":{"leftover_snapshots":0,"leftover_images":0,"quota_leaked":0,"guest_frozen":false}' >> "$3"
            """);
    }

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public async Task Sums_are_those_of_all_programs()
    {
        Program("One", Passes);
        Program("Two", Passes);
        var (code, said) = await RunAsync("test");
        Assert.Equal((0, "6 passed, 0 failed, 2 skipped"), (code, said[^1]));
    }

    [Fact]
    public async Task What_fails_is_named_with_its_reason_and_makes_the_whole_fail()
    {
        Program("One", Passes);
        Program("Two", Fails);
        var (code, said) = await RunAsync("test");
        Assert.Equal((1, "6 passed, 1 failed, 1 skipped"), (code, said[^1]));
        Assert.Contains("FAILED N.C.Broken", said);
        Assert.Contains("it is broken", said);
    }

    [Fact]
    public async Task A_name_that_no_project_has_is_refused_with_those_there_are()
    {
        Program("One", Passes);
        Program("Two", Passes);
        var (code, said, error) = await RunAsync(["test", "One", "Tow"]);
        Assert.Equal((1, 0), (code, said.Count));
        Assert.Equal("error: there is no test project 'Tow'; there are One Two", error.TrimEnd());
    }

    [Fact]
    public async Task What_fails_is_not_repeated_by_test()
    {
        Program("One", FailsOnce);
        var (code, said) = await RunAsync("test");
        Assert.Equal((1, "3 passed, 1 failed, 0 skipped"), (code, said[^1]));
    }

    [Fact]
    public async Task Ci_repeats_what_failed_and_lists_what_passes_then_as_unsteady()
    {
        Program("One", FailsOnce);
        Program("Two", Passes);
        var (code, said) = await RunAsync("ci");
        Assert.Equal((0, "7 passed, 0 failed, 1 skipped, 1 unsteady"), (code, said[^1]));
        Assert.Contains("FAILED N.C.Shaky", said);
        Assert.Contains("it shook", said);
    }

    [Fact]
    public async Task Ci_fails_when_what_failed_fails_again()
    {
        Program("One", Fails);
        var (code, said) = await RunAsync("ci");
        Assert.Equal((1, "3 passed, 1 failed, 0 skipped, 0 unsteady"), (code, said[^1]));
    }

    [Fact]
    public async Task A_program_that_does_not_end_is_interrupted_and_says_what_it_was_at()
    {
        Program("One", Hangs);
        Program("Two", Passes);
        var (code, said) = await RunAsync("test", seconds: 1);
        Assert.Equal((1, "3 passed, 1 failed, 1 skipped"), (code, said[^1]));
        Assert.Contains("SnapshotFlow.Tests.One did not end within 1 s:", said);
        Assert.Contains("Cancelling, N.C.Stuck was running", said);
    }

    [Fact]
    public async Task A_program_that_ends_without_a_report_is_a_failure()
    {
        Program("One", "echo out of memory; exit 134");
        var (code, said) = await RunAsync("test");
        Assert.Equal((1, "0 passed, 1 failed, 0 skipped"), (code, said[^1]));
        Assert.Contains("out of memory", said);
        Assert.Contains("SnapshotFlow.Tests.One ended with exit code 134 and did not report its results:", said);
    }

    private void Program(string name, string does)
    {
        Directory.CreateDirectory(Path.Join(root, "tests", name));
        File.WriteAllText(Path.Join(root, "tests", name, $"SnapshotFlow.Tests.{name}.csproj"), "");
        Script($"artifacts/bin/SnapshotFlow.Tests.{name}/release/SnapshotFlow.Tests.{name}", $$"""
            report() {
              printf '<assemblies><assembly %s>%s</assembly></assemblies>' "$1" "$2" > "$file"
            }
            for word in "$@"; do [[ ${previous-} != -result-xml ]] || file=$word; previous=$word; done
            {{does}}
            """);
    }

    private void Script(string path, string does)
    {
        var file = Path.Join(root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, $"#!/bin/bash\n{does}\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private async Task<(int Code, List<string> Said)> RunAsync(string command, int? seconds = null)
    {
        var (code, said, error) = await RunAsync([command], seconds);
        Assert.DoesNotContain("error:", error, StringComparison.Ordinal);
        return (code, said);
    }

    private async Task<(int Code, List<string> Said, string Error)> RunAsync(string[] command, int? seconds = null)
    {
        var start = new ProcessStartInfo(Path.Join(root, "snapshotflow"), command) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["PATH"] = $"{Path.Join(root, "path")}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["SNAPSHOTFLOW_TEST_SECONDS"] = $"{seconds ?? 60}";
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var said = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, [.. said.Split('\n', StringSplitOptions.RemoveEmptyEntries)], await error);
    }
}
