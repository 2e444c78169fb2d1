using System.Diagnostics;

namespace SnapshotFlow.Tests.Drivers.File;

/// <summary>A file system of its own in a file, mounted for one test class. Where that cannot be had the tests are skipped with the reason.</summary>
public abstract class LoopFileSystem : IDisposable
{
    private readonly string? mount;
    private readonly string? image;
    private readonly string? missing;

    /// <param name="type">File system type.</param>
    /// <param name="megabytes">Size of the file system.</param>
    /// <param name="package">The Debian package that has mkfs for it.</param>
    /// <param name="options">Options of mkfs.</param>
    protected LoopFileSystem(string type, int megabytes, string package, params string[] options)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            missing = $"mounting a {type} file system needs root";
            return;
        }

        SweepDeadRuns(type);
        var path = Path.Join(Path.GetTempPath(), $"snapshotflow-{type}-{Environment.ProcessId}-{Guid.NewGuid():N}");
        image = path + ".img";
        using (var file = System.IO.File.Create(image))
        {
            file.SetLength((long)megabytes << 20);
        }

        var failed = Run($"/usr/sbin/mkfs.{type}", [.. options, image]) is { } noFormat ? $"{noFormat} (Debian package {package})" : null;
        if (failed is null)
        {
            System.IO.Directory.CreateDirectory(path);
            failed = Run("/usr/bin/mount", ["-o", "loop", "-t", type, image, path]);
        }

        if (failed is null)
        {
            mount = path;
        }
        else
        {
            missing = $"no {type} file system could be had: {failed}";
        }
    }

    /// <summary>Where it is mounted; skips the test when it could not be.</summary>
    public string Directory
    {
        get
        {
            Assert.SkipWhen(mount is null, missing ?? "");
            return mount!;
        }
    }

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        if (mount is not null)
        {
            Assert.Null(Run("/usr/bin/umount", [mount]));
            System.IO.Directory.Delete(mount);
        }

        if (image is not null)
        {
            System.IO.File.Delete(image);
        }
    }

    /// <summary>A run that was killed could not unmount; the next one does it.</summary>
    private static void SweepDeadRuns(string type)
    {
        foreach (var image in System.IO.Directory.EnumerateFiles(Path.GetTempPath(), $"snapshotflow-{type}-*-*.img"))
        {
            if (int.TryParse(Path.GetFileName(image).Split('-')[2], out var owner) && !System.IO.Directory.Exists($"/proc/{owner}"))
            {
                var path = image[..^".img".Length];
                Run("/usr/bin/umount", [path]);
                if (System.IO.Directory.Exists(path))
                {
                    System.IO.Directory.Delete(path);
                }

                System.IO.File.Delete(image);
            }
        }
    }

    private static string? Run(string program, string[] arguments)
    {
        if (!System.IO.File.Exists(program))
        {
            return $"{program} is not installed";
        }

        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.StandardOutput.ReadToEnd();
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? null : $"{program}: {error.Trim()}";
    }
}

/// <summary>btrfs: reflinks.</summary>
public sealed class BtrfsFileSystem() : LoopFileSystem("btrfs", 1024, "btrfs-progs", "-q");

/// <summary>xfs: reflinks, and another kernel path than btrfs.</summary>
public sealed class XfsFileSystem() : LoopFileSystem("xfs", 1024, "xfsprogs", "-q", "-m", "reflink=1");

/// <summary>ext4 of 16 MiB: no reflinks, and soon full.</summary>
public sealed class SmallFileSystem() : LoopFileSystem("ext4", 16, "e2fsprogs", "-q", "-m", "0");
